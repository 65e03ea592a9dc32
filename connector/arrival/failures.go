package arrival

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"pullprint/connector/job"
	"pullprint/connector/store"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
)

// How often a task may fail.
const (
	// maxFailures is how often before it is given up: its pauses add up to five minutes (see
	// failurePause).
	maxFailures = 10
	// maxUnknown is how often before a job that Graph does not know yet is left to the sweep: its
	// pauses add up to half a minute.
	maxUnknown = 6
)

// redeliveryWithin is how long after its pause a task is redelivered at the latest. If the
// answer that asks for the pause is lost, the stream redelivers the task after store.AckWait;
// as much again is for the time until a worker is free.
const redeliveryWithin = 2 * store.AckWait

// failures counts how often tasks failed in this process for a reason of their own. The
// number of deliveries can't be used for this, because it grows during an outage.
type failures struct {
	mu    sync.Mutex // guards tasks
	tasks map[string]taskFailures
}

type taskFailures struct {
	failed int
	// until is when the task stops being in hand, that is worked on or to be redelivered.
	until time.Time
	// leftAlone says that the task is not retried.
	leftAlone bool
}

// forgetAt is how many tasks are remembered before those are removed that are not in hand
// any more: tasks that another replica was given, or that left the stream.
const forgetAt = 20_000

func newFailures() *failures { return &failures{tasks: map[string]taskFailures{}} }

// begin notes that a task is worked on.
func (f *failures) begin(task string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.tasks) >= forgetAt {
		for id, t := range f.tasks {
			if now.After(t.until) {
				delete(f.tasks, id)
			}
		}
	}
	t := f.tasks[task]
	t.until = now.Add(job.HandleLimit)
	f.tasks[task] = t
}

// failed counts a failure of the task's own and says how many there were.
func (f *failures) failed(task string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tasks[task]
	t.failed++
	f.tasks[task] = t
	return t.failed
}

// again notes that the task will be redelivered after a pause.
func (f *failures) again(task string, pause time.Duration, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tasks[task]
	t.until = now.Add(pause + redeliveryWithin)
	f.tasks[task] = t
}

// done forgets a task.
func (f *failures) done(task string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tasks, task)
}

// leftAlone notes that a task is not retried, and reports whether that is new.
func (f *failures) leftAlone(task string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := !f.tasks[task].leftAlone
	f.tasks[task] = taskFailures{until: now, leftAlone: true}
	return first
}

// inHand reports whether a task is worked on here, or will be redelivered.
func (f *failures) inHand(task string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, ok := f.tasks[task]
	return ok && now.Before(t.until)
}

// failurePause is the pause after the n-th failure: ten of them span 5 minutes.
func failurePause(n int) time.Duration {
	return min(time.Second<<min(max(n-1, 0), 6), 60*time.Second)
}

// retryAfterOf is the pause that Graph asked for, with up to a tenth of jitter so that
// tasks that were refused together are not retried together; 0 without one.
func retryAfterOf(err error) time.Duration {
	var ge *graph.Error
	if !errors.As(err, &ge) || ge.RetryAfter <= 0 {
		return 0
	}
	return ge.RetryAfter + rand.N(ge.RetryAfter/10+1)
}

// outage reports whether err says nothing about the job: the store does not answer, Graph
// throttles us, or Graph is unavailable and has answered no call at all since began.
func (h *Handler) outage(err error, began time.Time) bool {
	var auth *auth.Error
	if errors.As(err, &auth) || errors.Is(err, store.ErrUnavailable) {
		return true
	}
	var ge *graph.Error
	return errors.As(err, &ge) && ge.Unavailable() && (ge.Throttled() || h.graph.LastSuccess().Before(began))
}
