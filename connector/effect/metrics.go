package effect

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
	"pullprint/trigger/series"
)

// How a reservation ends, as label of pullprint_quota_settled_total.
const (
	Spent    = "spent"    // the printer has printed the job
	Refunded = "refunded" // it did not, and the policy gives something back
	Voided   = "void"     // the job was never let go on
)

// metrics count decisions and what became of them. No label has the name or id of a user,
// a job or a document.
type metrics struct {
	decisions *prometheus.CounterVec
	shadow    *prometheus.CounterVec
	diverged  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	holdAge   prometheus.Histogram
	unknown   *prometheus.CounterVec
	denied    *prometheus.CounterVec
	gone      *prometheus.CounterVec
	readBacks *prometheus.CounterVec
	settled   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, queues []printer.Queue) *metrics {
	auto := promauto.With(reg)
	m := &metrics{
		decisions: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_decisions_total", Help: "Decisions by point, verdict, reason code, rule and queue.",
		}, []string{"point", "verdict", "reason", "rule", "queue"}),
		shadow: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_shadow_decisions_total",
			Help: "Decisions that a policy in shadow would have taken otherwise, by point, verdict, reason code, rule and queue.",
		}, []string{"point", "verdict", "reason", "rule", "queue"}),
		diverged: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_policy_divergence_total",
			Help: "Decisions that the policy in policy.shadow_file would have taken otherwise, by point, the verdict taken and " +
				"the one it would have taken.",
		}, []string{"point", "live", "shadow"}),
		duration: auto.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pullprint_decision_duration_seconds",
			Help:    "Time from the arrival of the notification or tap to the effect in Graph.",
			Buckets: []float64{.0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300},
		}, []string{"point", "verdict"}),
		holdAge: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "pullprint_hold_age_seconds", Help: "How long jobs were held when their hold ended.",
			Buckets: []float64{10, 30, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600, 168 * 3600},
		}),
		unknown: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_unknown_total",
			Help: "Decisions for which something needed was out of reach, by dependency and fail mode.",
		}, []string{"dependency", "mode"}),
		denied: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_quota_denied_total", Help: "Jobs refused because an account did not cover them, by kind of account.",
		}, []string{"account_kind"}),
		gone: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_jobs_gone_total", Help: "Jobs that Graph finished, canceled or forgot without us, by queue.",
		}, []string{"queue"}),
		readBacks: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_read_backs_total",
			Help: "Jobs read back because the outcome of an effect was unknown, by what was found.",
		}, []string{"found"}),
		settled: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_quota_settled_total", Help: "Reservations that came to their end, by end: spent, refunded or void.",
		}, []string{"end"}),
	}
	m.startAtZero(queues)
	return m
}

// startAtZero makes the series whose labels are known beforehand.
func (m *metrics) startAtZero(queues []printer.Queue) {
	for _, q := range queues {
		m.gone.WithLabelValues(q.Name)
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
	for _, d := range policy.Dependencies {
		for _, mode := range []policy.FailMode{policy.FailHold, policy.FailAllow, policy.FailAbort} {
			m.unknown.WithLabelValues(string(d), string(mode))
		}
	}
	for _, s := range []job.State{"", job.Held, job.Released, job.Aborted, job.Completed, job.Gone} {
		m.readBacks.WithLabelValues(foundLabel(s))
	}
	series.Begin(m.denied, quota.User, quota.Group, quota.Center)
	series.Begin(m.settled, Spent, Refunded, Voided)
}

// HoldEnded counts the end of a hold in the replica that ended it, since the index of every
// replica sees it.
func (e *Executor) HoldEnded(before job.State, rec *job.Record) {
	if before == job.Held && rec.State != job.Held {
		e.metrics.holdAge.Observe(time.Since(rec.Seen).Seconds())
	}
}

// CountSettled counts a reservation that came to its end.
func (e *Executor) CountSettled(end string) { e.metrics.settled.WithLabelValues(end).Inc() }

func (m *metrics) decided(d *decision.Decision, heard time.Time) {
	m.decisions.WithLabelValues(d.Point, d.Verdict, d.Reason, d.Rule, d.Queue).Inc()
	if s := d.Shadow; s != nil {
		m.shadow.WithLabelValues(d.Point, s.Verdict, s.Reason, s.Rule, d.Queue).Inc()
		if s.Policy != d.Policy {
			m.diverged.WithLabelValues(d.Point, d.Verdict, s.Verdict).Inc()
		}
	}
	for _, u := range d.Unknown {
		m.unknown.WithLabelValues(u.Dependency, u.Mode).Inc()
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
