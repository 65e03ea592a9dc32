package bus

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	registerer prometheus.Registerer
	registered []prometheus.Collector

	connected     prometheus.Gauge
	writes        *prometheus.CounterVec
	writeDuration *prometheus.HistogramVec
	batches       *prometheus.CounterVec
	rebuilds      prometheus.Counter
	redelivered   prometheus.Counter
	leasesLost    prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_bus_connected", Help: "Whether there is a connection to NATS.",
		}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_bus_writes_total", Help: "Durable writes by stream and result: stored, refused (conflict or duplicate), failed (unknown).",
		}, []string{"stream", "result"}),
		writeDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pullprint_bus_write_duration_seconds",
			Help:    "Time from the call to the acknowledgement of a durable write.",
			Buckets: []float64{.0002, .0005, .001, .002, .005, .01, .025, .05, .1, .5, 2, 5},
		}, []string{"stream"}),
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_bus_batches_total", Help: "Groups of writes that shared one sync to disk, by result: stored, refused (done again one by one), failed (unknown).",
		}, []string{"result"}),
		rebuilds: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pullprint_bus_consumer_rebuilds_total", Help: "Times the task consumer was rebuilt because it delivered nothing while tasks were pending.",
		}),
		redelivered: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pullprint_bus_redeliveries_total", Help: "Tasks delivered again.",
		}),
		leasesLost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pullprint_bus_leases_lost_total", Help: "Leases lost while their holder was at work.",
		}),
	}
	for _, p := range schema(1) {
		for _, result := range []string{"stored", "refused", "failed"} {
			m.writes.WithLabelValues(p.cfg.Name, result)
		}
	}
	for _, result := range []string{"stored", "refused", "failed"} {
		m.batches.WithLabelValues(result)
	}
	return m
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	m.registerer = r
	var errs []error
	for _, c := range []prometheus.Collector{m.connected, m.writes, m.writeDuration, m.batches, m.rebuilds, m.redelivered, m.leasesLost} {
		if err := r.Register(c); err != nil {
			errs = append(errs, err)
			continue
		}
		m.registered = append(m.registered, c)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("register bus metrics: %w", err)
	}
	return nil
}

func (m *metrics) unregister() {
	for _, c := range m.registered {
		m.registerer.Unregister(c)
	}
	m.registered = nil
}
