package arrival

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pullprint/trigger"
	"pullprint/trigger/series"
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
	series.Begin(m.ignored, ignoredQueue, ignoredForeign, ignoredFinished, ignoredDuplicate, ignoredUnknown)
	series.Begin(m.ignored, trigger.Results...)
	series.Begin(m.dead, deadMalformed, deadPanic, deadAttempts, deadConflict, deadCrash)
	return m
}
