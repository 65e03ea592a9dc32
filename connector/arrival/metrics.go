package arrival

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pullprint/trigger"
)

// Why a task was ignored, as label of pullprint_tasks_ignored_total; the results
// of package trigger are there as well.
const (
	ignoredQueue     = "unknown-printer"
	ignoredForeign   = "foreign"
	ignoredFinished  = "finished"
	ignoredDuplicate = "duplicate"
	ignoredUnknown   = "unknown-job" // Graph lists its task and does not know the job
)

// Why a task was given up, as label of pullprint_dead_letters_total.
const (
	deadMalformed = "malformed"
	deadPanic     = "panic"
	deadAttempts  = "attempts"
	deadConflict  = "conflict"
	deadCrash     = "crash"
)

// metrics count tasks that are not decided.
type metrics struct {
	ignored *prometheus.CounterVec
	dead    *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	auto := promauto.With(reg)
	m := &metrics{
		ignored: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_tasks_ignored_total", Help: "Tasks heard of that are not ours to decide, by reason.",
		}, []string{"reason"}),
		dead: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "pullprint_dead_letters_total", Help: "Tasks given up, by reason.",
		}, []string{"reason"}),
	}
	for _, r := range append([]string{ignoredQueue, ignoredForeign, ignoredFinished, ignoredDuplicate, ignoredUnknown},
		trigger.Results...) {
		m.ignored.WithLabelValues(r)
	}
	for _, r := range []string{deadMalformed, deadPanic, deadAttempts, deadConflict, deadCrash} {
		m.dead.WithLabelValues(r)
	}
	return m
}
