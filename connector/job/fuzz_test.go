package job

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pullprint/trigger/fuzztest"
	"pullprint/trigger/graph"
)

// oneKV is a bucket with one value.
type oneKV struct {
	KV
	value []byte
}

func (k *oneKV) Get(context.Context, string) ([]byte, uint64, error) { return k.value, 1, nil }

func (k *oneKV) CompareAndSet(_ context.Context, _ string, value []byte, _ uint64, _ time.Duration) (uint64, bool, error) {
	k.value = value
	return 2, true, nil
}

// FuzzRecord: whatever is stored as a record is used or refused; one that is used keeps its key, is
// moved only as the table allows, and is the same after it was stored.
func FuzzRecord(f *testing.F) {
	ref := graph.Ref{Printer: "c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1", Job: "17"}
	key := Key("66666666-7777-4888-8999-aaaaaaaaaaaa", ref)
	for _, moves := range [][]State{nil, {Held}, {Held, Releasing}, {Held, Releasing, Released}, {Aborting, Aborted}, {Gone}} {
		r := Record{Ref: ref, Owner: "66666666-7777-4888-8999-AAAAAAAAAAAA", Queue: "Follow-Me"}
		for _, to := range moves {
			if err := r.Move(to, time.Unix(1, 0).UTC(), "me", "a note"); err != nil {
				f.Fatal(err)
			}
		}
		value, err := json.Marshal(&r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value)
	}
	f.Add([]byte(`{"state":"releasing","trail":null,"intent":{"takers":-1},"charge":{"claims":[{}]},"pages":-1}`))
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, value []byte) {
		defer watch.Input(t)()
		s := NewStore(&oneKV{value: value}, DefaultRetention)
		rec, _, err := s.Get(t.Context(), key)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Error(err)
			}
			return
		}
		if rec.Key() != key {
			t.Errorf("key %q", rec.Key())
		}
		for _, to := range all {
			moved, from := rec, rec.State
			if from == "" {
				from = Seen
			}
			if err := moved.Move(to, time.Unix(2, 0), "me", ""); (err == nil) != Legal(from, to) {
				t.Errorf("%q to %s: %v", from, to, err)
			}
			moved.TakeOver(time.Unix(3, 0), "another")
			moved.Disprove(time.Unix(4, 0), "another", "")
			if len(moved.Trail) > max(maxTrail, len(rec.Trail)) {
				t.Errorf("trail of %d steps, %d before", len(moved.Trail), len(rec.Trail))
			}
		}
		_ = rec.Audit()
		again := stored(t, s, key, &rec)
		if third := stored(t, s, key, &again); !cmp.Equal(again, third) {
			t.Error(cmp.Diff(again, third))
		}
	})
}

// stored is a record as it is read after it was written.
func stored(t *testing.T, s *Store, key string, rec *Record) Record {
	t.Helper()
	if _, ok, err := s.Put(t.Context(), rec, 1); err != nil || !ok {
		t.Skip("what can't be written is not kept: ", err) // a time after the year 9999
	}
	again, _, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(all, again.State) && again.State != rec.State {
		t.Errorf("state %q was %q", again.State, rec.State)
	}
	return again
}

// A charge of no account is damage: it could not be read any more once the record was written.
func TestChargeOfNobody(t *testing.T) {
	for _, value := range []string{
		`{"charge":{"claims":[{}]}}`, `{"charge":{"before":{"claims":[{}]}}}`, `{"tries":[{"charge":{"claims":[{}]}}]}`,
	} {
		s := NewStore(&oneKV{value: []byte(value)}, DefaultRetention)
		if rec, _, err := s.Get(t.Context(), "o.p.1"); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %+v, %v", value, rec, err)
		}
	}
}
