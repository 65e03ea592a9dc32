// Package series registers metrics that several parts of the program share, and makes those series
// whose labels are known beforehand begin at zero: a rate over a series that appears with its first
// event misses that event.
package series

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Registered registers a collector, or returns the same one that was registered before. Without a
// registry it is only returned. It panics where MustRegister does.
func Registered[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	err := reg.Register(c)
	if before, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := before.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		panic(err)
	}
	return c
}

// Begin makes the series of a metric with one label, one for each value of the label.
func Begin[M any, V ~string](metric interface{ WithLabelValues(labels ...string) M }, values ...V) {
	for _, v := range values {
		metric.WithLabelValues(string(v))
	}
}
