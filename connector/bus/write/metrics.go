package write

import (
	"github.com/prometheus/client_golang/prometheus"

	"pullprint/connector/bus/schema"
	"pullprint/trigger/series"
)

// Metrics are those of all writers.
type Metrics struct {
	writes   *prometheus.CounterVec
	duration *prometheus.HistogramVec
	batches  *prometheus.CounterVec
}

// NewMetrics makes the metrics of the writers, with all of their series.
func NewMetrics() *Metrics {
	m := &Metrics{
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_bus_writes_total",
			Help: "Durable writes by stream and result: stored, refused (conflict or duplicate), failed (unknown).",
		}, []string{"stream", "result"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pullprint_bus_write_duration_seconds",
			Help:    "Time from the call to the acknowledgement of a durable write.",
			Buckets: []float64{.0002, .0005, .001, .002, .005, .01, .025, .05, .1, .5, 2, 5},
		}, []string{"stream"}),
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_bus_batches_total",
			Help: "Groups of writes that shared one sync to disk, by result: stored, refused (done again one by one), failed " +
				"(unknown).",
		}, []string{"result"}),
	}
	for _, p := range schema.Streams(1) {
		for _, result := range []string{"stored", "refused", "failed"} {
			m.writes.WithLabelValues(p.Config.Name, result)
		}
		m.duration.WithLabelValues(p.Config.Name)
	}
	series.Begin(m.batches, "stored", "refused", "failed")
	return m
}

// Collectors are the metrics to register.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.writes, m.duration, m.batches}
}
