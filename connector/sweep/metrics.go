package sweep

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pullprint/connector/printer"
	"pullprint/connector/store"
	"pullprint/trigger/series"
)

// metrics tell what sweeps did and found.
type metrics struct {
	sweeps    *prometheus.CounterVec
	lastSweep prometheus.Gauge
	recovered prometheus.Counter
	warnings  *prometheus.CounterVec
	damaged   *prometheus.CounterVec
	drift     *prometheus.GaugeVec
	headroom  *prometheus.GaugeVec
	reserved  prometheus.Gauge
	oldest    prometheus.Gauge
	usage     *prometheus.GaugeVec
	usageDiff prometheus.Gauge
	usageAt   prometheus.Gauge
	*paperMetrics
}

func newMetrics(reg prometheus.Registerer, queues []printer.Queue, devices []printer.Device) *metrics {
	auto := promauto.With(reg)
	m := &metrics{
		sweeps: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_sweeps_total", Help: "Sweeps by result.",
		}, []string{"result"}),
		lastSweep: auto.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_sweep_last_success_timestamp_seconds",
			Help: "When a sweep last read every task; 0 before the first.",
		}),
		recovered: auto.NewCounter(prometheus.CounterOpts{
			Name: "pullprint_tasks_recovered_total",
			Help: "Tasks that only the sweep found, because their notification was lost.",
		}),
		warnings: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_expiry_warnings_total",
			Help: "Notices that the hold of a job ends soon and that somebody heard, by queue.",
		}, []string{"queue"}),
		damaged: store.DamagedRecords(reg),
		drift: auto.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pullprint_trigger_drift",
			Help: "1 when jobs of the queue print without starting a task of ours: its trigger is missing or another's; else 0.",
		}, []string{"queue"}),
		headroom: auto.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pullprint_queue_headroom_ratio",
			Help: "How much is left of what Universal Print takes of a queue, from 1 to 0 at the tightest of its limits: 100 " +
				"jobs in 10 minutes, 50 at once, 4 of one person at once.",
		}, []string{"queue"}),
		reserved: auto.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_quota_reservations", Help: "Reservations open at the last sweep.",
		}),
		oldest: auto.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_quota_reservation_age_seconds",
			Help: "Age of the oldest reservation that was open at the last sweep; 0 without one.",
		}),
		usage: auto.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pullprint_usage_pages",
			Help: "Sides printed on the day that was compared last, by source: what Graph reports, and what was let print here.",
		}, []string{"source"}),
		usageDiff: auto.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_usage_divergence_ratio",
			Help: "By which part Graph's own report of that day is more than what was let print here; negative when it is less.",
		}),
		usageAt: auto.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_usage_compared_timestamp_seconds", Help: "When usage was compared last; 0 before the first time.",
		}),
		paperMetrics: newPaperMetrics(auto, queues, devices),
	}
	series.Begin(m.sweeps, "ok", "failed")
	series.Begin(m.usage, "graph", "pullprint")
	for _, q := range queues {
		m.warnings.WithLabelValues(q.Name)
	}
	m.reset(queues)
	return m
}

// reset resets the gauges that only the sweeping replica sets: their values are out of date
// once another replica sweeps.
func (m *metrics) reset(queues []printer.Queue) {
	m.reserved.Set(0)
	m.oldest.Set(0)
	for _, q := range queues {
		m.headroom.WithLabelValues(q.Name).Set(1)
		m.drift.WithLabelValues(q.Name).Set(0)
	}
}
