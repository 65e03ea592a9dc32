package bus

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/bus/write"
)

// A stream whose writes don't end does not hold back a copy, and with it all other writes,
// for longer than the copy may take.
func TestHoldWritesHonoursDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung, free := &write.Writer{}, &write.Writer{}
		end, err := hung.Hold(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b := &Bus{writers: map[string]*write.Writer{"a": hung, "b": free}}
		ctx, cancel := context.WithTimeout(t.Context(), holdFor)
		defer cancel()
		began := time.Now()
		if _, err := b.holdWrites(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != holdFor {
			t.Errorf("held although a stream does not come to rest: %v after %s", err, time.Since(began))
		}
		end()
		for range 2 { // nothing is left held
			release, err := b.holdWrites(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			release()
		}
	})
}
