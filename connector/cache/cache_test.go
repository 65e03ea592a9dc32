package cache_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/cache"
	"pullprint/connector/recovery"
)

// A value is fresh until its time has ended, and still told after it, as old.
func TestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.NewTTL[string](time.Minute, 10)
		if v, fresh := c.Get("a"); v != "" || fresh {
			t.Errorf("of nothing: %q, %t", v, fresh)
		}
		c.Put("a", "one")
		c.PutFor("b", "two", time.Hour)
		time.Sleep(time.Minute - 1)
		if v, fresh := c.Get("a"); v != "one" || !fresh {
			t.Errorf("before its time has ended: %q, %t", v, fresh)
		}
		time.Sleep(time.Nanosecond)
		if v, fresh := c.Get("a"); v != "one" || fresh {
			t.Errorf("at its end: %q, %t", v, fresh)
		}
		if v, fresh := c.Get("b"); v != "two" || !fresh {
			t.Errorf("another time: %q, %t", v, fresh)
		}
		c.Put("a", "three")
		if v, fresh := c.Get("a"); v != "three" || !fresh {
			t.Errorf("put again: %q, %t", v, fresh)
		}
	})
}

// However many keys are put, no more than so many values are kept; one that is there is replaced without
// forgetting others.
func TestTTLIsBounded(t *testing.T) {
	const most = 8
	c := cache.NewTTL[int](time.Hour, most)
	kept := func() (n int) {
		for i := range 10 * most {
			if _, fresh := c.Get(strconv.Itoa(i)); fresh {
				n++
			}
		}
		return n
	}
	for i := range most {
		c.Put(strconv.Itoa(i), i)
	}
	c.Put("0", 100)
	if n := kept(); n != most {
		t.Errorf("%d are kept after one was replaced, want %d", n, most)
	}
	for i := range 10 * most {
		c.Put(strconv.Itoa(i), i)
		if n := kept(); n == 0 || n > most {
			t.Fatalf("%d are kept after key %d, want at most %d", n, i, most)
		}
	}
}

// A call is limited by its own time when whoever began it has more, and is not ended with them.
func TestFlightHasItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f cache.Flight[time.Duration]
		began := time.Now()
		call := func(ctx context.Context) (time.Duration, error) {
			<-ctx.Done()
			return time.Since(began), ctx.Err()
		}
		took, joined, err := f.Do(t.Context(), "a", 3*time.Second, call)
		if took != 3*time.Second || joined || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, %t, %v", took, joined, err)
		}
		ctx, hangUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, hangUp)
		began = time.Now()
		if _, _, err := f.Do(ctx, "a", time.Minute, func(ctx context.Context) (time.Duration, error) {
			time.Sleep(2 * time.Second)
			return 0, ctx.Err()
		}); !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
			t.Errorf("who hung up was told %v after %s", err, time.Since(began))
		}
		if _, joined, err := f.Do(t.Context(), "a", time.Minute, nil); err != nil || !joined {
			t.Errorf("who joined the call that goes on: %t, %v", joined, err)
		}
	})
}

// Calls with other keys are not shared, a result is not remembered, and one that failed for want of time
// is made again for a caller with more.
func TestFlightCallsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f cache.Flight[int]
		var calls atomic.Int64
		count := func(ctx context.Context) (int, error) { calls.Add(1); <-ctx.Done(); return 0, ctx.Err() }
		done := make(chan error, 3)
		for i, key := range []string{"a", "a", "b"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
			go func() {
				defer cancel()
				_, _, err := f.Do(ctx, key, time.Minute, count)
				done <- err
			}()
			synctest.Wait()
		}
		for range 3 {
			if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		if calls := calls.Load(); calls != 3 {
			t.Errorf("%d calls; want one of each key, and one more for who had more time", calls)
		}
	})
}

// A panic in a call is an error for whoever waits for it.
func TestFlightPanics(t *testing.T) {
	var f cache.Flight[int]
	_, _, err := f.Do(t.Context(), "a", time.Minute, func(context.Context) (int, error) { panic("from outside") })
	if _, ok := errors.AsType[*recovery.Panic](err); !ok {
		t.Error(err)
	}
	if v, _, err := f.Do(t.Context(), "a", time.Minute, func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("after it: %d, %v", v, err)
	}
}
