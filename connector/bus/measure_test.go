package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/store"
)

// value is that of a gauge; label, when there is one, is that of its only label.
func value(t *testing.T, g prometheus.Gatherer, name, label string) float64 {
	t.Helper()
	all, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no %s{%s}", name, label)
	return 0
}

// What waits ages until it is decided, one that comes again included; what is stored
// is measured against the share of its stream.
func TestMeasure(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		b := bustest.Open(t, bustest.MaxStore(100<<20), bustest.With(bus.Options{Registerer: reg}))
		ctx, stop := context.WithCancel(t.Context())
		measured := make(chan error, 1)
		go func() { measured <- b.Measure(ctx) }()
		const age, undecided = "pullprint_tasks_oldest_undecided_age_seconds", "pullprint_tasks_undecided"

		time.Sleep(time.Second)
		if n, old := value(t, reg, undecided, ""), value(t, reg, age, ""); n != 0 || old != 0 {
			t.Errorf("with no task: %v undecided, %v s old", n, old)
		}
		for _, id := range []string{"one", "two"} {
			if _, err := b.PublishTask(t.Context(), "def", id, []byte("{}")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if n, old := value(t, reg, undecided, ""), value(t, reg, age, ""); n != 2 || old < 119 || old > 122 {
			t.Errorf("with two tasks that nobody takes: %v undecided, %v s old", n, old)
		}

		// The second is decided, the first comes again and again.
		consuming, end := context.WithCancel(t.Context())
		consumed := make(chan error, 1)
		go func() {
			consumed <- b.Consume(consuming, 1, func(_ context.Context, d store.Delivery) store.Disposition {
				if d.Sequence == 1 && d.Delivered < 5 {
					return store.Retry(time.Minute)
				}
				return store.Done()
			})
		}()
		time.Sleep(2 * time.Minute)
		if n, old := value(t, reg, undecided, ""), value(t, reg, age, ""); n != 1 || old < 239 || old > 242 {
			t.Errorf("with one task that comes again: %v undecided, %v s old", n, old)
		}
		time.Sleep(5 * time.Minute)
		if n, old := value(t, reg, undecided, ""), value(t, reg, age, ""); n != 0 || old != 0 {
			t.Errorf("with both decided: %v undecided, %v s old", n, old)
		}

		if got := value(t, reg, "pullprint_store_limit_bytes", "PULLPRINT_TASKS"); got != 30<<20 {
			t.Errorf("limit of the tasks %v", got)
		}
		if bytes, n := value(t, reg, "pullprint_store_bytes", "PULLPRINT_TASKS"), value(t, reg, "pullprint_store_messages",
			"PULLPRINT_TASKS"); bytes <= 0 || n != 2 {
			t.Errorf("tasks take %v bytes, %v messages", bytes, n)
		}
		if free := value(t, reg, "pullprint_store_free_bytes", ""); free <= 0 {
			t.Errorf("%v bytes free", free)
		}
		end()
		<-consumed
		stop()
		if err := <-measured; err != context.Canceled { //nolint:errorlint // exactly that of ctx
			t.Errorf("Measure: %v", err)
		}
	})
}
