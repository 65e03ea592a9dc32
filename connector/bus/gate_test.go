package bus

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/store"
)

// A write that is held back for a copy of the store ends with its deadline, and one
// that hangs does not hold back a copy, and with it all other writes, for longer than
// the copy may take.
func TestGateHonoursDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &writer{metrics: newMetrics()}
		w.gate.Lock()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, err := w.write(ctx, &write{}); !errors.Is(err, store.ErrUnavailable) || time.Since(began) != 100*time.Millisecond {
			t.Errorf("a write with a deadline of 100ms: %v after %s", err, time.Since(began))
		}
		w.gate.Unlock()

		hung, free := &writer{metrics: newMetrics()}, &writer{metrics: newMetrics()}
		if err := hung.gate.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		b := &Bus{writers: map[string]*writer{"a": hung, "b": free}}
		ctx, cancel = context.WithTimeout(t.Context(), holdFor)
		defer cancel()
		began = time.Now()
		if _, err := b.holdWrites(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != holdFor {
			t.Errorf("locked although a write is under way: %v after %s", err, time.Since(began))
		}
		for name, w := range b.writers {
			if err := w.gate.enter(t.Context()); err != nil {
				t.Errorf("writer %s is still held back: %v", name, err)
			}
			w.gate.leave()
		}
		hung.gate.leave()
		release, err := b.holdWrites(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		release()
	})
}
