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

// The pause doubles up to its maximum, and no two processes wait equally long.
func TestBackoff(t *testing.T) {
	b := wait.Backoff{First: time.Second, Max: 10 * time.Second}
	for n, most := range map[int]time.Duration{
		-1 << 63: time.Second, 0: time.Second, 1: time.Second,
		2: 2 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second, 1 << 30: 10 * time.Second,
	} {
		seen := map[time.Duration]bool{}
		for range 50 {
			d := b.Pause(n)
			if d < most/2 || d > most {
				t.Fatalf("Pause(%d) = %s, want %s to %s", n, d, most/2, most)
			}
			seen[d] = true
		}
		if len(seen) < 10 {
			t.Errorf("Pause(%d) has no jitter", n)
		}
	}
}

func TestJitter(t *testing.T) {
	if d := wait.Jitter(0); d != 0 {
		t.Errorf("Jitter(0) = %s", d)
	}
	for range 50 {
		if d := wait.Jitter(time.Minute); d < time.Minute || d > 66*time.Second {
			t.Fatalf("Jitter(1m) = %s", d)
		}
	}
}
