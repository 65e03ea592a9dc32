package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/store"
	"pullprint/trigger/racetest"
)

// removeNewest takes what was stored last out of each stream and bucket, as erasing a
// person does, and out of one kind all there is.
func removeNewest(t *testing.T, b *bus.Bus) {
	t.Helper()
	for _, kind := range []store.Kind{store.Decisions, store.Audit, store.Ledger, store.Dead} {
		var all []uint64
		if err := b.Scan(t.Context(), kind, func(r store.Record) error { all = append(all, r.Sequence); return nil }); err != nil {
			t.Fatal(err)
		}
		if kind != store.Dead {
			all = all[len(all)-2:]
		}
		if err := b.Remove(t.Context(), kind, all); err != nil {
			t.Fatal(err)
		}
	}
	for name, kv := range bucketsOf(b) {
		r := mustSet(t, kv, "k.last", "1", 0, 0)
		if ok, err := kv.Delete(t.Context(), "k.last", r); !ok || err != nil {
			t.Fatal(name, ok, err)
		}
		if err := kv.Forget(t.Context(), "k.last"); err != nil {
			t.Fatal(name, err)
		}
	}
}

// ends are the last sequences of all streams.
func ends(t *testing.T, b *bus.Bus) map[string]uint64 {
	t.Helper()
	streams, err := b.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]uint64{}
	for _, s := range streams {
		last[s.Name] = s.Last
	}
	return last
}

// A store is backed up, restored and started again after what was stored last has been
// erased: nothing is missing, and what comes next has the sequence that it would have had.
func TestBackupWithoutTheNewest(t *testing.T) {
	racetest.Skip(t, "one start after the other")
	bustest.Virtual(t, func(t *testing.T) {
		from := filepath.Join(bustest.TempDir(t), "from")
		b := bustest.Open(t, bustest.Dir(from))
		furnish(t, b)
		removeNewest(t, b)
		bustest.KillIn(t, b, from)
		if err := config(from).Embedded.Whole(); err != nil {
			t.Error(err)
		}
		b = bustest.Reopen(t, b)
		want, err := everything(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		last := ends(t, b)
		var file bytes.Buffer
		if held, err := b.Backup(t.Context(), &file); held > 0 || err != nil {
			t.Fatalf("writes were held back for %s: %v", held, err)
		}
		dir := filepath.Join(bustest.TempDir(t), "nats")
		restored(t, config(dir), file.Bytes(), false)
		again := bustest.Open(t, bustest.Dir(dir))
		for round := range 3 {
			got, err := everything(t.Context(), again)
			if err != nil {
				t.Fatal(err)
			}
			for part := range want {
				if !maps.Equal(got[part], want[part]) {
					t.Errorf("start %d: %s has %d records, want %d", round, part, len(got[part]), len(want[part]))
				}
			}
			if at := ends(t, again); !maps.Equal(at, last) {
				t.Errorf("start %d: the streams end at %v, want %v", round, at, last)
			}
			if round == 0 {
				bustest.Kill(t, again)
			}
			again = bustest.Reopen(t, again)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		if err := config(dir).Embedded.Whole(); err != nil {
			t.Error(err)
		}
		if err := bus.Compact(t.Context(), config(dir), bus.Options{}); err != nil {
			t.Error("compact:", err)
		}
	})
}

// The same with an external server, and of one whose buckets keep older values.
func TestBackupOfExternalWithoutTheNewest(t *testing.T) {
	racetest.Skip(t, "one backup")
	cfg := bus.Config{URL: bustest.External(t)}
	b, err := bus.Open(t.Context(), cfg, bus.Options{Instance: "daemon"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s, err := b.JetStream().Stream(t.Context(), "KV_pullprint_quota")
	if err != nil {
		t.Fatal(err)
	}
	history := s.CachedInfo().Config
	history.MaxMsgsPerSubject = 5
	if _, err := b.JetStream().UpdateStream(t.Context(), history); err != nil {
		t.Fatal(err)
	}
	furnish(t, b)
	removeNewest(t, b)
	want, err := everything(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := bus.Backup(t.Context(), cfg, bus.Options{}, &file); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(bustest.TempDir(t), "nats")
	restored(t, config(dir), file.Bytes(), false)
	again := bustest.Open(t, bustest.Dir(dir))
	got, err := everything(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	for part := range want {
		if !maps.Equal(got[part], want[part]) {
			t.Errorf("%s has %d records, want %d", part, len(got[part]), len(want[part]))
		}
	}
}

// A record in the middle that can't be read is what a backup fails for: not that others
// write all the time.
func TestBackupOfDamage(t *testing.T) {
	for _, stream := range []string{"PULLPRINT_DECISIONS", "PULLPRINT_LEDGER"} {
		t.Run(stream, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(bustest.TempDir(t), "nats")
			b := bustest.Open(t, bustest.Dir(dir))
			furnish(t, b)
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			flip(t, filepath.Join(dir, "jetstream", "*", "streams", stream, "msgs", "*.blk"), fmt.Sprintf(`{"stream":%q,"n":20}`, stream))
			b, err := bus.OpenUnchecked(t.Context(), config(dir))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err = b.Backup(ctx, io.Discard)
			if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), stream) || !strings.Contains(err.Error(), "restore") {
				t.Error(err)
			}
		})
	}
}
