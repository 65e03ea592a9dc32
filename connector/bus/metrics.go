package bus

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"pullprint/connector/bus/write"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	registerer prometheus.Registerer
	registered []prometheus.Collector

	connected   prometheus.Gauge
	write       *write.Metrics
	rebuilds    prometheus.Counter
	redelivered prometheus.Counter
	leasesLost  prometheus.Counter

	bytes, limit, messages *prometheus.GaugeVec
	free, undecided        prometheus.Gauge
	oldest                 atomic.Int64 // unix nanoseconds: when the oldest undecided task was stored; 0 for none
	oldestAge              prometheus.Collector
}

func newMetrics() *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	ofStream := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"stream"})
	}
	m := &metrics{
		write:     write.NewMetrics(),
		connected: gauge("pullprint_bus_connected", "Whether there is a connection to NATS."),
		rebuilds: counter("pullprint_bus_consumer_rebuilds_total",
			"Times the task consumer was rebuilt because it delivered nothing while tasks were pending."),
		redelivered: counter("pullprint_bus_redeliveries_total", "Tasks delivered again."),
		leasesLost:  counter("pullprint_bus_leases_lost_total", "Leases lost while their holder was at work."),
		bytes:       ofStream("pullprint_store_bytes", "What a stream or bucket takes in the store."),
		limit: ofStream("pullprint_store_limit_bytes",
			"What a stream or bucket may take in the store; absent where nothing limits it."),
		messages: ofStream("pullprint_store_messages", "How many messages or keys a stream or bucket holds."),
		free: gauge("pullprint_store_free_bytes",
			"What is free on the disk of the embedded store; absent with an external one."),
		undecided: gauge("pullprint_tasks_undecided", "Tasks in the stream that are not decided, those in work included."),
	}
	m.oldestAge = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pullprint_tasks_oldest_undecided_age_seconds",
		Help: "How long ago the oldest undecided task was stored; 0 without one.",
	}, m.age)
	return m
}

// age is that of the oldest undecided task. It grows between two looks, also when the
// store can't be looked at.
func (m *metrics) age() float64 {
	at := m.oldest.Load()
	if at == 0 {
		return 0
	}
	return time.Since(time.Unix(0, at)).Seconds()
}

func (m *metrics) register(r prometheus.Registerer, embedded bool) error {
	if r == nil {
		return nil
	}
	m.registerer = r
	var errs []error
	all := []prometheus.Collector{
		m.connected, m.rebuilds, m.redelivered, m.leasesLost,
		m.bytes, m.limit, m.messages, m.undecided, m.oldestAge,
	}
	all = append(all, m.write.Collectors()...)
	if embedded {
		all = append(all, m.free)
	}
	for _, c := range all {
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
