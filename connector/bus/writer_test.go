package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
)

// Every second write is a conflict. Those refuse the batches they are in, and
// still everyone gets an answer of their own, and only what was answered true
// is stored.
func TestBatchWithConflicts(t *testing.T) {
	t.Parallel()
	reg, o := withRegistry()
	kv := bustest.Open(t, bustest.With(o)).Jobs()
	const n = 256
	taken := make([]uint64, n)
	together(n, func(i int) {
		if i%2 == 0 {
			taken[i], _, _ = kv.CompareAndSet(t.Context(), fmt.Sprintf("k.%d", i), []byte("before"), 0, 0)
		}
	})
	revisions := make([]uint64, n)
	together(n, func(i int) {
		r, ok, err := kv.CompareAndSet(t.Context(), fmt.Sprintf("k.%d", i), []byte("after"), 0, 0)
		if err != nil || ok != (i%2 == 1) {
			t.Errorf("key %d: %v %v", i, ok, err)
		}
		revisions[i] = r
	})
	for i := range n {
		want, revision := "after", revisions[i]
		if i%2 == 0 {
			want, revision = "before", taken[i]
		}
		if v, r, err := kv.Get(t.Context(), fmt.Sprintf("k.%d", i)); string(v) != want || r != revision || err != nil {
			t.Errorf("key %d: %q at %d, %v; want %q at %d", i, v, r, err, want, revision)
		}
	}
	for _, result := range []string{"stored", "refused"} {
		if metric(t, reg, "pullprint_bus_batches_total", result) == 0 {
			t.Errorf("no batch was %s: this test shows nothing", result)
		}
	}
}

// The revisions that a batch hands out are those of the keys, also when others
// write between its parts.
func TestBatchRevisions(t *testing.T) {
	t.Parallel()
	reg, o := withRegistry()
	kv := bustest.Open(t, bustest.With(o)).Jobs()
	together(100, func(i int) {
		var revision uint64
		for round := range 5 {
			key, value := fmt.Sprintf("k.%d", i), fmt.Sprintf("%d/%d", i, round)
			r, ok, err := kv.CompareAndSet(t.Context(), key, []byte(value), revision, 0)
			if err != nil || !ok {
				t.Errorf("%s at %d: %v %v", key, revision, ok, err)
				return
			}
			if v, got, err := kv.Get(t.Context(), key); string(v) != value || got != r || err != nil {
				t.Errorf("%s: %q at %d, %v; want %q at %d", key, v, got, err, value, r)
			}
			revision = r
		}
	})
	if metric(t, reg, "pullprint_bus_batches_total", "stored") == 0 {
		t.Error("no batch was stored: this test shows nothing")
	}
}

// Many writers on one key: one wins each round, and nothing hangs.
func TestHotKey(t *testing.T) {
	t.Parallel()
	kv := bustest.Open(t).Jobs()
	var won atomic.Int64
	together(64, func(i int) {
		for {
			_, revision, err := kv.Get(t.Context(), "hot")
			if err != nil {
				t.Error(err)
				return
			}
			_, ok, err := kv.CompareAndSet(t.Context(), "hot", fmt.Append(nil, i), revision, 0)
			if err != nil {
				t.Error(err)
				return
			}
			if ok {
				won.Add(1)
				return
			}
		}
	})
	if won.Load() != 64 {
		t.Error(won.Load())
	}
}

// Each of 100 tasks is published twice at once: both are told that it is stored,
// one that it was there already.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	reg, o := withRegistry()
	b := bustest.Open(t, bustest.With(o))
	var first, duplicates atomic.Int64
	publish := func(b *bus.Bus) {
		together(200, func(i int) {
			dup, err := b.PublishTask(t.Context(), "def", fmt.Sprintf("task-%d", i%100), []byte("x"))
			switch {
			case err != nil:
				t.Error(err)
			case dup:
				duplicates.Add(1)
			default:
				first.Add(1)
			}
		})
	}
	publish(b)
	if first.Load() != 100 || duplicates.Load() != 100 {
		t.Errorf("%d stored and %d duplicates, want 100 and 100", first.Load(), duplicates.Load())
	}
	if metric(t, reg, "pullprint_bus_batches_total", "stored") == 0 {
		t.Error("no batch was stored: this test shows nothing")
	}
	// The server knows them after a restart, too, when we remember nothing.
	b = bustest.Reopen(t, b)
	publish(b)
	if first.Load() != 100 {
		t.Errorf("%d stored after a restart, want 100", first.Load())
	}
	mustLag(t, b, 100, 0)
}

// Callers that give up, at every moment of the way, leave nothing behind that
// others would wait for.
func TestAbandonedWrites(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	for round := range 5 {
		together(100, func(i int) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i*round)*80*time.Microsecond)
			defer cancel()
			_, err := b.PublishTask(ctx, "def", fmt.Sprintf("%d/%d", round, i), nil)
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
	together(100, func(i int) {
		if _, err := b.PublishTask(t.Context(), "def", fmt.Sprintf("last/%d", i), nil); err != nil {
			t.Error(err)
		}
	})
}

// A full stream of tasks refuses and keeps what it has.
func TestFullStream(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bustest.MaxStore(64<<20))
	body := make([]byte, 256<<10)
	var stored, refused atomic.Int64
	together(120, func(i int) {
		if _, err := b.PublishTask(t.Context(), "def", fmt.Sprint(i), body); err != nil {
			refused.Add(1)
			return
		}
		stored.Add(1)
	})
	mustLag(t, b, int(stored.Load()), 0)
	if refused.Load() == 0 || stored.Load() == 0 {
		t.Errorf("%d stored, %d refused", stored.Load(), refused.Load())
	}
	// The others have room of their own.
	if err := b.Canary(t.Context()); err != nil {
		t.Error(err)
	}
	if _, ok, err := b.Jobs().CompareAndSet(t.Context(), "a", nil, 0, 0); !ok || err != nil {
		t.Error(ok, err)
	}
}

// What was acknowledged before a kill is there after it.
func TestKill(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	const n = 100
	revisions := make([]uint64, n)
	published := make([]int, n)
	var total atomic.Int64
	enough := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		together(n, func(i int) {
			for ctx.Err() == nil {
				r, ok, err := b.Jobs().CompareAndSet(ctx, fmt.Sprintf("k.%d", i), []byte("v"), revisions[i], 0)
				if err != nil || !ok {
					return
				}
				revisions[i] = r
				if _, err := b.PublishTask(ctx, "def", fmt.Sprintf("%d-%d", i, published[i]), nil); err != nil {
					return
				}
				published[i]++
				if total.Add(1) == 800 {
					close(enough)
				}
			}
		})
	}()
	<-enough
	bustest.Kill(t, b)
	stop()
	<-done
	b = bustest.Reopen(t, b)
	acknowledged := 0
	for i := range n {
		acknowledged += published[i]
		if _, r, err := b.Jobs().Get(t.Context(), fmt.Sprintf("k.%d", i)); r < revisions[i] || err != nil {
			t.Errorf("key %d is at revision %d, %v; %d was acknowledged", i, r, err, revisions[i])
		}
	}
	pending, _, err := b.Lag(t.Context())
	if err != nil || pending < acknowledged {
		t.Errorf("%d tasks, %v; %d were acknowledged", pending, err, acknowledged)
	}
	t.Logf("%d acknowledged, %d there", acknowledged, pending)
}
