package graph

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pullprint/trigger/series"
)

// metrics count tries, not calls. The label code is the HTTP status, or without one timeout,
// canceled or error.
type metrics struct {
	requests  *prometheus.CounterVec
	duration  [operations]prometheus.Observer
	throttled prometheus.Counter
	answered  prometheus.Gauge
	skew      prometheus.Gauge
}

// newMetrics registers them once for all Clients: the calls of the app and of a person are counted
// together.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: series.Registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_graph_requests_total",
			Help: "Requests to Microsoft Graph and its authority, each try, by operation and HTTP status (timeout, canceled " +
				"or error: none came).",
		}, []string{"operation", "code"})),
		throttled: series.Registered(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pullprint_graph_throttled_seconds_total",
			Help: "Seconds that calls waited because Microsoft Graph asked for it or was too busy.",
		})),
		answered: series.Registered(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_graph_last_success_timestamp_seconds",
			Help: "When Microsoft Graph last answered like one that is there; 0 before the first time.",
		})),
		skew: series.Registered(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_clock_skew_seconds",
			Help: "By how much this machine's clock is ahead of Microsoft Graph's, by its newest answer; negative when it is " +
				"behind.",
		})),
	}
	duration := series.Registered(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "pullprint_graph_request_duration_seconds",
		Help:    "Duration of a request to Microsoft Graph or its authority, each try, until its answer is read.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"operation"}))
	for op := range operations {
		m.duration[op] = duration.WithLabelValues(op.name())
		m.requests.WithLabelValues(op.name(), strconv.Itoa(table[op].ok))
	}
	return m
}

func (m *metrics) observe(op operation, code string, began time.Time) {
	m.requests.WithLabelValues(op.name(), code).Inc()
	m.duration[op].Observe(time.Since(began).Seconds())
}

// label returns the label code of a try.
func label(status int, err error) string {
	switch {
	case status != 0:
		return strconv.Itoa(status)
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "error"
}
