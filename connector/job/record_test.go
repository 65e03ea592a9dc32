package job

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/connector/decision"
	"pullprint/trigger/graph"

	"pgregory.net/rapid"
)

var all = []State{Seen, Held, Releasing, Released, Aborting, Aborted, Completing, Completed, Gone}

// The state machine, written out once more: what is not here must be refused.
var legal = []string{
	"seen held", "seen aborting", "seen completing", "seen gone",
	"held releasing", "held aborting", "held completing", "held gone",
	"releasing released", "releasing held", "releasing gone",
	"aborting aborted", "aborting gone",
	"completing completed", "completing aborting", "completing gone",
}

func TestLegalMoves(t *testing.T) {
	for _, from := range all {
		for _, to := range all {
			want := slices.Contains(legal, string(from+" "+to))
			if got := Legal(from, to); got != want {
				t.Errorf("Legal(%s, %s) = %t, want %t", from, to, got, want)
			}
		}
	}
}

func TestIllegalMoveChangesNothing(t *testing.T) {
	r := Record{State: Aborted}
	if err := r.Move(Completing, time.Now(), "a", ""); !errors.Is(err, ErrIllegal) {
		t.Fatalf("error = %v, want ErrIllegal", err)
	}
	if r.State != Aborted || len(r.Trail) != 0 || r.Intent != nil {
		t.Errorf("the record changed: %+v", r)
	}
}

// However a record is moved, an effect is only ever preceded by its intent, at
// most one effect happens, and the trail tells the moves in order.
func TestMovesProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var r Record
		effects := 0
		for i := range rapid.IntRange(1, 80).Draw(rt, "moves") {
			from := r.State
			to := rapid.SampledFrom(all).Draw(rt, "to")
			if r.Move(to, time.Unix(int64(i), 0), "me", "") != nil {
				continue
			}
			if to == Released || to == Aborted || to == Completed {
				effects++
				if from.Outcome() != to {
					rt.Fatalf("%s came from %s", to, from)
				}
			}
			if (r.Intent != nil) != to.Intent() {
				rt.Fatalf("state %s with intent %v", to, r.Intent)
			}
			if last := r.Trail[len(r.Trail)-1]; last.State != to || last.At.Unix() != int64(i) {
				rt.Fatalf("last step %+v after a move to %s", last, to)
			}
		}
		if effects > 1 {
			rt.Fatalf("%d effects: %+v", effects, r.Trail)
		}
		if len(r.Trail) > maxTrail {
			rt.Fatalf("trail of %d steps", len(r.Trail))
		}
		if !slices.IsSortedFunc(r.Trail, func(a, b Step) int { return a.At.Compare(b.At) }) {
			rt.Fatalf("trail out of order: %+v", r.Trail)
		}
	})
}

func TestTakeOverCounts(t *testing.T) {
	var r Record
	if err := r.Move(Aborting, time.Unix(1, 0), "first", ""); err != nil {
		t.Fatal(err)
	}
	r.TakeOver(time.Unix(2, 0), "second")
	if r.Intent.By != "second" || r.Intent.Takers != 2 || r.State != Aborting {
		t.Errorf("after the take-over: %+v %s", r.Intent, r.State)
	}
}

func TestKey(t *testing.T) {
	ref := graph.Ref{Printer: "p", Job: "1"}
	if got := Key("", ref); got != "_.p.1" {
		t.Errorf("key without owner = %q", got)
	}
	if got := Key("o", ref); got != "o.p.1" || !strings.HasPrefix(got, strings.TrimSuffix(ownerFilter("o"), ">")) {
		t.Errorf("key = %q, filter %q", got, ownerFilter("o"))
	}
}

// ttlKV remembers with which life values are stored.
type ttlKV struct {
	KV
	ttl time.Duration
}

func (k *ttlKV) CompareAndSet(_ context.Context, _ string, _ []byte, _ uint64, ttl time.Duration) (uint64, bool, error) {
	k.ttl = ttl
	return 1, true, nil
}

func TestOnlyFinishedRecordsAreForgotten(t *testing.T) {
	for _, s := range all {
		kv := &ttlKV{ttl: -1}
		if _, ok, err := NewStore(kv, DefaultRetention).Put(t.Context(), &Record{State: s}, 0); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if forgotten := kv.ttl != 0; forgotten != s.Final() {
			t.Errorf("%s: life %s, final %t", s, kv.ttl, s.Final())
		}
	}
}

// Copies of a record keep their trails.
func TestCopiesKeepTheirTrail(t *testing.T) {
	for _, n := range []int{0, 3, 31, maxTrail} {
		var r Record
		r.State = Held
		for i := range n {
			r.Trail = append(r.Trail, Step{State: Held, At: time.Unix(int64(i), 0)})
		}
		r.Trail = append(make([]Step, 0, 2*maxTrail), r.Trail...)
		before := r
		want := slices.Clone(before.Trail)
		first, second := r, r
		if err := errors.Join(first.Move(Gone, time.Unix(99, 0), "a", ""), second.Move(Releasing, time.Unix(98, 0), "b", "")); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(before.Trail, want) {
			t.Errorf("%d steps: the copy has %+v", n, before.Trail)
		}
		if last := first.Trail[len(first.Trail)-1]; last.By != "a" {
			t.Errorf("%d steps: the first copy ends with %+v", n, last)
		}
	}
}

// A decision at arrival that is made again changes what was decided, and nothing besides.
func TestDecidedAgainKeepsTheRest(t *testing.T) {
	now := time.Unix(1_773_136_800, 0)
	before := Record{
		State: Held, Seen: now, Warned: now, Came: 2, StoredAs: "A.p.1", Trail: []Step{{State: Held}}, Tries: []Try{{ID: "t"}},
		Release: &Release{Device: "west"}, Charge: &Charge{Attempt: "old"}, Pages: &decision.Pages{Count: 3},
		HoldUntil: now, Queue: "before",
		Decision: decision.Decision{ID: "old"}, Set: &decision.Settings{Copies: 2}, Sent: &decision.Input{Mode: "pull"},
	}
	again := before.DecidedAgain(Record{State: Seen, Seen: now.Add(time.Hour), Queue: "after", Decision: decision.Decision{ID: "new"}})
	want := before
	want.Queue, want.Decision.ID, want.HoldUntil, want.Set, want.Sent = "after", "new", time.Time{}, nil, nil
	if !reflect.DeepEqual(again, want) {
		t.Errorf("got  %+v\nwant %+v", again, want)
	}
}
