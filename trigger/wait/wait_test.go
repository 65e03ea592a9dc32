package wait_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/trigger/wait"
)

// A wait ends with its time, with its context, or when it is woken, whichever comes first.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if err := wait.Sleep(t.Context(), time.Minute); err != nil || time.Since(begun) != time.Minute {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wake := make(chan struct{}, 1)
		begun = time.Now()
		if err := wait.For(ctx, time.Minute, wake); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("of a context that ends after %s: %v", time.Since(begun), err)
		}
		wake <- struct{}{}
		begun = time.Now()
		if err := wait.For(t.Context(), time.Minute, wake); err != nil || time.Since(begun) != 0 {
			t.Errorf("woken after %s: %v", time.Since(begun), err)
		}
	})
}
