package series

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// Two parts that register the same counter count together, and its series are there before they do.
func TestRegistered(t *testing.T) {
	reg := prometheus.NewRegistry()
	counter := func(reg prometheus.Registerer, help string) *prometheus.CounterVec {
		return Registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tasks_total", Help: help}, []string{"result"}))
	}
	first, second := counter(reg, "Tasks."), counter(reg, "Tasks.")
	Begin(first, "stored", "refused")
	second.WithLabelValues("stored").Inc()
	if n, got := testutil.CollectAndCount(reg), testutil.ToFloat64(first.WithLabelValues("stored")); n != 2 || got != 1 {
		t.Errorf("%d series, %v stored", n, got)
	}
	if counter(nil, "Tasks.") == first {
		t.Error("without a registry, the counter of another part")
	}
	defer func() {
		if recover() == nil {
			t.Error("another metric of the same name is accepted")
		}
	}()
	counter(reg, "Something else.")
}
