package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/stored"
)

func mustSet(t *testing.T, kv *stored.KV, key, value string, revision uint64, ttl time.Duration) uint64 {
	t.Helper()
	r, ok, err := kv.CompareAndSet(t.Context(), key, []byte(value), revision, ttl)
	if err != nil || !ok || r <= revision {
		t.Fatalf("set %s at %d: %d %v %v", key, revision, r, ok, err)
	}
	return r
}

func mustAbsent(t *testing.T, kv *stored.KV, key string) {
	t.Helper()
	if v, r, err := kv.Get(t.Context(), key); v != nil || r != 0 || err != nil {
		t.Fatalf("%s: %q %d %v, want it absent", key, v, r, err)
	}
}

func TestCompareAndSet(t *testing.T) {
	t.Parallel()
	kv := bustest.Open(t).Jobs()
	ctx := t.Context()
	mustAbsent(t, kv, "a.b")
	r1 := mustSet(t, kv, "a.b", "1", 0, 0)
	if _, ok, err := kv.CompareAndSet(ctx, "a.b", []byte("x"), 0, 0); ok || err != nil {
		t.Fatalf("created over an existing key: %v %v", ok, err)
	}
	r2 := mustSet(t, kv, "a.b", "2", r1, 0)
	for _, old := range []uint64{r1, r2 + 1} {
		if _, ok, err := kv.CompareAndSet(ctx, "a.b", []byte("x"), old, 0); ok || err != nil {
			t.Fatalf("set at revision %d: %v %v", old, ok, err)
		}
	}
	if v, r, err := kv.Get(ctx, "a.b"); string(v) != "2" || r != r2 || err != nil {
		t.Fatalf("%q %d %v", v, r, err)
	}
	if ok, err := kv.Delete(ctx, "a.b", r1); ok || err != nil {
		t.Fatalf("deleted at an old revision: %v %v", ok, err)
	}
	if ok, err := kv.Delete(ctx, "a.b", r2); !ok || err != nil {
		t.Fatal(ok, err)
	}
	mustAbsent(t, kv, "a.b")
	if _, ok, err := kv.CompareAndSet(ctx, "a.b", []byte("x"), r2, 0); ok || err != nil {
		t.Fatalf("set a deleted key at its last revision: %v %v", ok, err)
	}
	mustSet(t, kv, "a.b", "", 0, 0)
	if v, r, err := kv.Get(ctx, "a.b"); v == nil || len(v) != 0 || r <= r2 || err != nil {
		t.Fatalf("an empty value: %v %d %v", v, r, err)
	}
}

func TestBadKeys(t *testing.T) {
	t.Parallel()
	kv := bustest.Open(t).Jobs()
	for _, key := range []string{"", ".a", "a.", "a..b", "a b", "*", "a.>", "é", "a\n"} {
		if _, _, err := kv.CompareAndSet(t.Context(), key, nil, 0, 0); err == nil {
			t.Errorf("%q was stored", key)
		}
		if _, _, err := kv.Get(t.Context(), key); err == nil {
			t.Errorf("%q was read", key)
		}
	}
}

func TestExpiry(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		kv := bustest.Open(t).State()
		gone := make(chan time.Duration, 10)
		start := time.Now()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- kv.Watch(ctx, "a", func(_ string, value []byte, _ uint64) {
				if value == nil {
					gone <- time.Since(start)
				}
			}, func() {})
		}()
		r := mustSet(t, kv, "a", "1", 0, 10*time.Second)
		time.Sleep(8 * time.Second)
		mustSet(t, kv, "a", "2", r, 10*time.Second)
		time.Sleep(9 * time.Second)
		if v, _, err := kv.Get(t.Context(), "a"); string(v) != "2" || err != nil {
			t.Fatalf("the second write didn't prolong it: %q %v", v, err)
		}
		if after := <-gone; after < 18*time.Second || after > 21*time.Second {
			t.Errorf("expired after %v, want 18 to 20 s", after)
		}
		mustAbsent(t, kv, "a")
		mustSet(t, kv, "a", "3", 0, time.Nanosecond) // rounded up to a second
		<-gone
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// A mark of a deleted key doesn't stay for ever, and its own end is not
// reported as another deletion.
func TestMarksVanish(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		kv := b.State()
		mustSet(t, kv, "expires", "1", 0, time.Minute)
		r := mustSet(t, kv, "deleted", "1", 0, 0)
		deletions := 0
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		caughtUp := make(chan struct{})
		go func() {
			ended <- kv.Watch(ctx, ">", func(_ string, value []byte, _ uint64) {
				if value == nil {
					deletions++
				}
			}, func() { close(caughtUp) })
		}()
		<-caughtUp
		if ok, err := kv.Delete(t.Context(), "deleted", r); !ok || err != nil {
			t.Fatal(ok, err)
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		stop()
		<-ended
		if deletions != 2 {
			t.Errorf("%d deletions reported, want 2", deletions)
		}
		s, err := b.JetStream().Stream(t.Context(), "KV_pullprint_state")
		if err != nil {
			t.Fatal(err)
		}
		if n := s.CachedInfo().State.Msgs; n != 1 { // the format
			t.Errorf("%d messages left", n)
		}
	})
}

func TestEach(t *testing.T) {
	t.Parallel()
	kv := bustest.Open(t).Jobs()
	const many = 1500 // more than the server answers at once
	together(many, func(i int) {
		if _, ok, err := kv.CompareAndSet(t.Context(), fmt.Sprintf("many.p.%d", i), []byte("v"), 0, 0); !ok || err != nil {
			t.Error(ok, err)
		}
	})
	mustSet(t, kv, "few.p.1", "1", 0, 0)
	r := mustSet(t, kv, "few.p.2", "2", 0, 0)
	mustSet(t, kv, "few.q.3", "3", 0, 0)
	if ok, err := kv.Delete(t.Context(), "few.p.2", r); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, c := range []struct {
		filter string
		want   int
	}{{"few.>", 2}, {"none.>", 0}, {"few.p.*", 1}, {"few.p.2", 0}, {"many.>", many}, {">", many + 2}} {
		got := map[string]bool{}
		err := kv.Each(t.Context(), c.filter, func(key string, value []byte, revision uint64) error {
			if value == nil || revision == 0 || strings.HasPrefix(key, "$") {
				t.Errorf("%s %q %d", key, value, revision)
			}
			got[key] = true
			return nil
		})
		if err != nil || len(got) != c.want {
			t.Errorf("%s: %d keys, %v; want %d", c.filter, len(got), err, c.want)
		}
	}
	stop := errors.New("stop")
	for _, filter := range []string{"few.>", "many.>"} {
		calls := 0
		err := kv.Each(t.Context(), filter, func(string, []byte, uint64) error { calls++; return stop })
		if err != stop || calls != 1 { //nolint:errorlint // the very error
			t.Errorf("%s: %d calls, %v", filter, calls, err)
		}
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	kv := bustest.Open(t).State()
	ctx, stop := context.WithCancel(t.Context())
	var seen []string
	caught := 0
	seenOne := make(chan struct{}, 100)
	ended := make(chan error)
	empty := make(chan struct{})
	r := mustSet(t, kv, "other.x", "1", 0, 0)
	go func() {
		ended <- kv.Watch(ctx, "w.*", func(key string, value []byte, _ uint64) {
			if value == nil {
				value = []byte("deleted")
			}
			seen = append(seen, key+"="+string(value))
			seenOne <- struct{}{}
		}, func() { caught++; close(empty) })
	}()
	<-empty // nothing there is caught up as well
	mustSet(t, kv, "other.x", "2", r, 0)
	r = mustSet(t, kv, "w.a", "1", 0, 0)
	<-seenOne
	r = mustSet(t, kv, "w.a", "2", r, 0)
	<-seenOne
	if ok, err := kv.Delete(t.Context(), "w.a", r); !ok || err != nil {
		t.Fatal(ok, err)
	}
	<-seenOne
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if want := []string{"w.a=1", "w.a=2", "w.a=deleted"}; !slices.Equal(seen, want) || caught != 1 {
		t.Errorf("saw %v and caught up %d times, want %v and 1", seen, caught, want)
	}
}

// The buckets are apart, and what is in them is there after a kill.
func TestBucketsAreApart(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	buckets := map[string]func(*bus.Bus) *stored.KV{
		"jobs": (*bus.Bus).Jobs, "state": (*bus.Bus).State, "badges": (*bus.Bus).Badges, "quota": (*bus.Bus).Quota,
	}
	for name, of := range buckets {
		mustSet(t, of(b), "same.key", name, 0, 0)
	}
	bustest.Kill(t, b)
	b = bustest.Reopen(t, b)
	for name, of := range buckets {
		if v, _, err := of(b).Get(t.Context(), "same.key"); string(v) != name || err != nil {
			t.Errorf("%s: %q, %v", name, v, err)
		}
	}
}
