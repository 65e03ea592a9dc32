package write

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/store"
)

// A write that is held back for a copy of the store ends with its deadline, and one that is
// under way does not let the store be held.
func TestGateHonoursDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const within = 100 * time.Millisecond
		w := &Writer{metrics: NewMetrics()}
		release, err := w.Hold(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		began := time.Now()
		if _, err := w.Write(ctx, &Message{}); !errors.Is(err, store.ErrUnavailable) || time.Since(began) != within {
			t.Errorf("a write that is held back: %v after %s", err, time.Since(began))
		}
		release()

		if err := w.gate.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), within)
		defer cancel()
		began = time.Now()
		if _, err := w.Hold(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != within {
			t.Errorf("held although a write is under way: %v after %s", err, time.Since(began))
		}
		if err := w.gate.enter(t.Context()); err != nil {
			t.Error("still held:", err)
		}
		w.gate.leave()
		w.gate.leave()
	})
}
