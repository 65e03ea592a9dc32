package bus_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCompareAndSet(t *testing.T) {
	b := bustest.Open(t)
	ctx := context.Background()
	kv := b.Jobs()
	r1, ok, err := kv.CompareAndSet(ctx, "a.b", []byte("1"), 0, 0)
	if err != nil || !ok {
		t.Fatal(r1, ok, err)
	}
	if _, ok, err := kv.CompareAndSet(ctx, "a.b", []byte("2"), 0, 0); ok || err != nil {
		t.Fatalf("created over an existing key: %v %v", ok, err)
	}
	r2, ok, err := kv.CompareAndSet(ctx, "a.b", []byte("2"), r1, 0)
	if err != nil || !ok || r2 <= r1 {
		t.Fatal(r2, ok, err)
	}
	v, r, err := kv.Get(ctx, "a.b")
	if string(v) != "2" || r != r2 || err != nil {
		t.Fatal(v, r, err)
	}
	if ok, err := kv.Delete(ctx, "a.b", r1); ok || err != nil {
		t.Fatalf("deleted at an old revision: %v %v", ok, err)
	}
	if ok, err := kv.Delete(ctx, "a.b", r2); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if v, r, err := kv.Get(ctx, "a.b"); v != nil || r != 0 || err != nil {
		t.Fatal(v, r, err)
	}
	if r, ok, err := kv.CompareAndSet(ctx, "a.b", []byte("3"), 0, 0); err != nil || !ok || r <= r2 {
		t.Fatalf("not created over a delete marker: %v %v %v", r, ok, err)
	}
	n := 0
	if err := kv.Each(ctx, "a.>", func(k string, v []byte, r uint64) error { n++; return nil }); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	wctx, stop := context.WithCancel(ctx)
	seen := 0
	err = kv.Watch(wctx, ">", func(k string, v []byte, r uint64) { seen++ }, stop)
	if err != context.Canceled || seen != 1 {
		t.Fatal(seen, err)
	}
	if err := b.Canary(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestConsumeVirtual(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		ctx, stop := context.WithCancel(context.Background())
		if _, err := b.PublishTask(ctx, "def", "t1", []byte("x")); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		err := b.Consume(ctx, 4, func(ctx context.Context, d bus.Delivery) bus.Disposition {
			t.Log(time.Since(start), d.Attempt)
			if d.Attempt == 3 {
				stop()
				return bus.Done()
			}
			return bus.Retry(time.Hour)
		})
		t.Log(err, time.Since(start))
	})
}
