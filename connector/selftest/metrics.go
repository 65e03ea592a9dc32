package selftest

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pullprint/trigger/series"
)

// Metrics tell how self-tests ended.
type Metrics struct {
	results *prometheus.CounterVec
	passed  prometheus.Gauge
	failed  prometheus.Gauge
	took    prometheus.Gauge
}

// NewMetrics registers them with reg, which may be nil. They are there at zero also where no
// self-test is configured.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	auto := promauto.With(reg)
	m := &Metrics{
		results: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_selftests_total", Help: "Self-tests by result.",
		}, []string{"result"}),
		passed: auto.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_selftest_last_success_timestamp_seconds", Help: "When a self-test last passed; 0 before the first.",
		}),
		failed: auto.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_selftest_last_failure_timestamp_seconds", Help: "When a self-test last failed; 0 before the first.",
		}),
		took: auto.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_selftest_duration_seconds",
			Help: "How long the self-test that passed last took, from the beginning of its job to its abort.",
		}),
	}
	series.Begin(m.results, "passed", "failed")
	return m
}
