package connector

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pullprint/connector/held"
	"pullprint/trigger"
)

// Metrics counts what the connector decides and does. No label ever names a
// user, a job or a document.
type Metrics struct {
	decisions *prometheus.CounterVec
	shadow    *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	holdAge   prometheus.Histogram
	held      *prometheus.GaugeVec
	ignored   *prometheus.CounterVec
	recovered prometheus.Counter
	dead      *prometheus.CounterVec
	gone      *prometheus.CounterVec
	readBacks *prometheus.CounterVec
	sweeps    *prometheus.CounterVec
	warnings  *prometheus.CounterVec
	taps      *prometheus.CounterVec
	lastSweep prometheus.Gauge
}

// NewMetrics registers the connector's metrics with reg; a nil reg registers
// nothing. The known queues and reasons start at zero.
func NewMetrics(reg prometheus.Registerer, queues []Queue) *Metrics {
	m := &Metrics{
		decisions: counterVec("decisions_total", "Decisions by point, verdict, reason code, rule and queue.", "point", "verdict", "reason", "rule", "queue"),
		shadow:    counterVec("shadow_decisions_total", "Decisions that a policy in shadow would have taken otherwise, by point, verdict, reason code, rule and queue.", "point", "verdict", "reason", "rule", "queue"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pullprint_decision_duration_seconds", Help: "Time from the arrival of the notification or tap to the effect in Graph.",
			Buckets: []float64{.0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300},
		}, []string{"point", "verdict"}),
		holdAge: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pullprint_hold_age_seconds", Help: "How long jobs were held when their hold ended.",
			Buckets: []float64{10, 30, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600, 168 * 3600},
		}),
		held: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pullprint_held_jobs", Help: "Jobs held now, by queue.",
		}, []string{"queue"}),
		ignored: counterVec("tasks_ignored_total", "Tasks heard of that are not ours to decide, by reason.", "reason"),
		recovered: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pullprint_tasks_recovered_total", Help: "Tasks that only the sweep found, because their notification was lost.",
		}),
		dead:      counterVec("dead_letters_total", "Tasks given up, by reason.", "reason"),
		gone:      counterVec("jobs_gone_total", "Jobs that Graph finished, canceled or forgot without us, by queue.", "queue"),
		readBacks: counterVec("read_backs_total", "Jobs read back because the outcome of an effect was unknown, by what was found.", "found"),
		sweeps:    counterVec("sweeps_total", "Sweeps by result.", "result"),
		warnings:  counterVec("expiry_warnings_total", "Notices that the hold of a job ends soon, by queue.", "queue"),
		taps:      counterVec("taps_total", "Badges shown at devices, by device and result.", "device", "result"),
		lastSweep: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_sweep_last_success_timestamp_seconds", Help: "When a sweep last read every task; 0 before the first.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.decisions, m.shadow, m.duration, m.holdAge, m.held, m.ignored, m.recovered, m.dead, m.gone, m.readBacks, m.sweeps, m.warnings, m.taps, m.lastSweep)
	}
	for _, q := range queues {
		m.held.WithLabelValues(q.Name)
		m.gone.WithLabelValues(q.Name)
		m.warnings.WithLabelValues(q.Name)
	}
	for _, r := range append([]string{ignoredQueue, ignoredForeign, ignoredFinished, ignoredDuplicate}, trigger.Results...) {
		m.ignored.WithLabelValues(r)
	}
	for _, r := range []string{deadMalformed, deadPanic, deadAttempts, deadConflict} {
		m.dead.WithLabelValues(r)
	}
	for _, r := range []string{"ok", "failed"} {
		m.sweeps.WithLabelValues(r)
	}
	return m
}

func counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pullprint_" + name, Help: help}, labels)
}

func (m *Metrics) decided(d *held.Decision, heard time.Time) {
	m.decisions.WithLabelValues(d.Point, d.Verdict, d.Reason, d.Rule, d.Queue).Inc()
	if s := d.Shadow; s != nil {
		m.shadow.WithLabelValues(d.Point, s.Verdict, s.Reason, s.Rule, d.Queue).Inc()
	}
	if !heard.IsZero() {
		m.duration.WithLabelValues(d.Point, d.Verdict).Observe(time.Since(heard).Seconds())
	}
}
