package connector

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pullprint/connector/held"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
	"pullprint/trigger"
)

// Metrics counts what the connector decides and does. No label has the name or id of a
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
	odd       *prometheus.CounterVec
	lastSweep prometheus.Gauge
	unknown   *prometheus.CounterVec
	pages     *prometheus.CounterVec
	diverged  *prometheus.CounterVec
	denied    *prometheus.CounterVec
	settled   *prometheus.CounterVec
	reserved  prometheus.Gauge
	oldest    prometheus.Gauge
	damaged   *prometheus.CounterVec
	headroom  *prometheus.GaugeVec
	usage     *prometheus.GaugeVec
	usageDiff prometheus.Gauge
	usageAt   prometheus.Gauge
	drift     *prometheus.GaugeVec
	reg       prometheus.Registerer // for what is told of the Index
	queues    []Queue

	selfTests      *prometheus.CounterVec
	selfTestPassed prometheus.Gauge
	selfTestFailed prometheus.Gauge
	selfTestTook   prometheus.Gauge
}

// NewMetrics registers the connector's metrics with reg; a nil reg registers
// nothing. The known queues and reasons start at zero.
func NewMetrics(reg prometheus.Registerer, queues []Queue) *Metrics {
	m := &Metrics{
		reg: reg, queues: queues,
		decisions: counterVec("decisions_total", "Decisions by point, verdict, reason code, rule and queue.", "point",
			"verdict", "reason", "rule", "queue"),
		shadow: counterVec("shadow_decisions_total", "Decisions that a policy in shadow would have taken otherwise, by "+
			"point, verdict, reason code, rule and queue.", "point", "verdict", "reason", "rule", "queue"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pullprint_decision_duration_seconds",
			Help:    "Time from the arrival of the notification or tap to the effect in Graph.",
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
			Name: "pullprint_tasks_recovered_total",
			Help: "Tasks that only the sweep found, because their notification was lost.",
		}),
		dead: counterVec("dead_letters_total", "Tasks given up, by reason.", "reason"),
		gone: counterVec("jobs_gone_total", "Jobs that Graph finished, canceled or forgot without us, by queue.",
			"queue"),
		readBacks: counterVec("read_backs_total",
			"Jobs read back because the outcome of an effect was unknown, by what was found.", "found"),
		sweeps: counterVec("sweeps_total", "Sweeps by result.", "result"),
		warnings: counterVec("expiry_warnings_total",
			"Notices that the hold of a job ends soon and that somebody heard, by queue.", "queue"),
		odd:  counterVec("odd_badges_total", "Unknown badges with characters that no card has, by device.", "device"),
		taps: counterVec("taps_total", "Badges shown at devices, by device and result.", "device", "result"),
		unknown: counterVec("unknown_total",
			"Decisions for which something needed was out of reach, by dependency and fail mode.", "dependency", "mode"),
		pages: counterVec("page_counts_total",
			"Jobs whose pages were looked for, by result: counted, estimated or unknown.", "result"),
		diverged: counterVec("policy_divergence_total", "Decisions that the policy in policy.shadow_file would have taken "+
			"otherwise, by point, the verdict taken and the one it would have taken.", "point", "live", "shadow"),
		denied: counterVec("quota_denied_total", "Jobs refused because an account did not cover them, by kind of account.",
			"account_kind"),
		settled: counterVec("quota_settled_total", "Reservations that came to their end, by end: spent, refunded or void.",
			"end"),
		damaged: counterVec("damaged_records_total", "Records met in the store that can't be read and were left out, by "+
			"kind: account, badge, job, delegation or state.", "kind"),
		reserved: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_quota_reservations", Help: "Reservations open at the last sweep.",
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_quota_reservation_age_seconds",
			Help: "Age of the oldest reservation that was open at the last sweep; 0 without one.",
		}),
		usage: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pullprint_usage_pages",
			Help: "Sides printed on the day that was compared last, by source: what Graph reports, and what was let print here.",
		}, []string{"source"}),
		usageDiff: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_usage_divergence_ratio",
			Help: "By which part Graph's own report of that day is more than what was let print here; negative when it is less.",
		}),
		usageAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_usage_compared_timestamp_seconds", Help: "When usage was compared last; 0 before the first time.",
		}),
		drift: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pullprint_trigger_drift",
			Help: "1 when jobs of the queue print without starting a task of ours: its trigger is missing or another's; else 0.",
		}, []string{"queue"}),
		headroom: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pullprint_queue_headroom_ratio",
			Help: "How much is left of what Universal Print takes of a queue, from 1 to 0 at the tightest of its limits: 100 " +
				"jobs in 10 minutes, 50 at once, 4 of one person at once.",
		}, []string{"queue"}),
		selfTests: counterVec("selftests_total", "Self-tests by result.", "result"),
		selfTestPassed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_selftest_last_success_timestamp_seconds", Help: "When a self-test last passed; 0 before the first.",
		}),
		selfTestFailed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_selftest_last_failure_timestamp_seconds", Help: "When a self-test last failed; 0 before the first.",
		}),
		selfTestTook: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_selftest_duration_seconds",
			Help: "How long the self-test that passed last took, from the beginning of its job to its abort.",
		}),
		lastSweep: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_sweep_last_success_timestamp_seconds",
			Help: "When a sweep last read every task; 0 before the first.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.decisions, m.shadow, m.duration, m.holdAge, m.held, m.ignored, m.recovered, m.dead, m.gone,
			m.readBacks, m.sweeps, m.warnings, m.taps, m.odd, m.lastSweep,
			m.unknown, m.pages, m.diverged, m.denied, m.settled, m.reserved, m.oldest, m.damaged, m.headroom, m.usage,
			m.usageDiff, m.usageAt, m.drift, m.selfTests, m.selfTestPassed, m.selfTestFailed, m.selfTestTook)
	}
	for _, q := range queues {
		m.held.WithLabelValues(q.Name)
		m.headroom.WithLabelValues(q.Name).Set(1)
		m.drift.WithLabelValues(q.Name)
		m.gone.WithLabelValues(q.Name)
		m.warnings.WithLabelValues(q.Name)
	}
	for _, r := range append([]string{ignoredQueue, ignoredForeign, ignoredFinished, ignoredDuplicate, ignoredUnknown},
		trigger.Results...) {
		m.ignored.WithLabelValues(r)
	}
	for _, r := range []string{deadMalformed, deadPanic, deadAttempts, deadConflict, deadCrash} {
		m.dead.WithLabelValues(r)
	}
	for _, r := range []string{"passed", "failed"} {
		m.selfTests.WithLabelValues(r)
	}
	for _, r := range []string{"ok", "failed"} {
		m.sweeps.WithLabelValues(r)
	}
	for _, r := range []string{"counted", "estimated", "unknown"} {
		m.pages.WithLabelValues(r)
	}
	for point, verdicts := range map[policy.Point][]policy.Verdict{
		policy.Arrival: {policy.Hold, policy.Complete, policy.Abort},
		policy.Release: {policy.Redirect, policy.Keep, policy.Abort},
	} {
		for _, live := range verdicts {
			m.duration.WithLabelValues(string(point), string(live))
			for _, shadow := range verdicts {
				m.diverged.WithLabelValues(string(point), string(live), string(shadow))
			}
		}
	}
	for _, s := range []string{"graph", "pullprint"} {
		m.usage.WithLabelValues(s)
	}
	for _, d := range policy.Dependencies {
		for _, mode := range []policy.FailMode{policy.FailHold, policy.FailAllow, policy.FailAbort} {
			m.unknown.WithLabelValues(string(d), string(mode))
		}
	}
	for _, s := range []held.State{"", held.Held, held.Released, held.Aborted, held.Completed, held.Gone} {
		m.readBacks.WithLabelValues(foundLabel(s))
	}
	for _, k := range []quota.Kind{quota.User, quota.Group, quota.Center} {
		m.denied.WithLabelValues(string(k))
	}
	for _, k := range []string{recordAccount, recordBadge, recordJob, recordDelegation, recordState} {
		m.damaged.WithLabelValues(k)
	}
	for _, e := range []string{endSpent, endRefunded, endVoid} {
		m.settled.WithLabelValues(e)
	}
	return m
}

// The kinds of records, as label of pullprint_damaged_records_total.
const (
	recordAccount    = "account"
	recordBadge      = "badge"
	recordState      = "state"
	recordJob        = "job"
	recordDelegation = "delegation"
)

func counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pullprint_" + name, Help: help}, labels)
}

// holdEnded counts the end of a hold in the replica that ended it, since the index of every
// replica sees it.
func (m *Metrics) holdEnded(before held.State, rec *held.Record) {
	if before == held.Held && rec.State != held.Held {
		m.holdAge.Observe(time.Since(rec.Seen).Seconds())
	}
}

func (m *Metrics) decided(d *held.Decision, heard time.Time) {
	m.decisions.WithLabelValues(d.Point, d.Verdict, d.Reason, d.Rule, d.Queue).Inc()
	if s := d.Shadow; s != nil {
		m.shadow.WithLabelValues(d.Point, s.Verdict, s.Reason, s.Rule, d.Queue).Inc()
	}
	for _, u := range d.Unknown {
		m.unknown.WithLabelValues(u.Dependency, u.Mode).Inc()
	}
	if s := d.Shadow; s != nil && s.Policy != d.Policy {
		m.diverged.WithLabelValues(d.Point, d.Verdict, s.Verdict).Inc()
	}
	if d.Reason == reasons.QuotaExhausted {
		kind := quota.User
		if len(d.Accounts) > 0 {
			if a, err := quota.ParseAccount(d.Accounts[0]); err == nil {
				kind = a.Kind
			}
		}
		m.denied.WithLabelValues(string(kind)).Inc()
	}
	if !heard.IsZero() {
		m.duration.WithLabelValues(d.Point, d.Verdict).Observe(time.Since(heard).Seconds())
	}
}
