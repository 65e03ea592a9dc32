// Package arrival takes the tasks of the stream: it has each job decided, and holds it, lets it print
// or aborts it. A task is decided, comes again, or becomes a dead letter that says why.
package arrival

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/connector/clock"
	"pullprint/connector/effect"
	"pullprint/connector/evaluate"
	"pullprint/connector/index"
	"pullprint/connector/inflight"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/store"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger"
	"pullprint/trigger/graph"
)

// Workers is how many tasks are worked on at once. Each is a goroutine that mostly waits
// for Graph or for a durable write; writes that wait together share one sync of the disk.
// The Graph client limits its calls itself.
const Workers = 512

// errUnknownJob says that Graph does not know a job whose task it lists as waiting: the job
// is too new for one of its servers, or the answer is wrong.
var errUnknownJob = errors.New("graph does not know the job although its task waits")

// errConflict says that a finished job has another task than its record, and is no other job.
var errConflict = errors.New("the job has ended by its record but has a new task; cancel it in the Universal Print " +
	"portal and have it printed again")

// DeadLetters stores the tasks that were given up; *bus.Bus is one. They are durable when it
// returns nil, and publishing the same msgID again changes nothing.
type DeadLetters interface {
	PublishDead(ctx context.Context, msgID string, body []byte) error
}

// Graph is what a Handler needs of Microsoft Graph; *graph.Client is one.
type Graph interface {
	Task(ctx context.Context, definition, task string) (graph.Task, error)
	LastSuccess() time.Time
}

// Ledger ends the reservation of a job whose number another job has; *ledger.Ledger is one.
type Ledger interface {
	Settle(ctx context.Context, job string, accounts []quota.Account, now time.Time) (quota.Amount, error)
	Void(ctx context.Context, job, attempt string, accounts []quota.Account, now time.Time) (bool, error)
}

// Options are what a Handler is made of. All are required except Registerer.
type Options struct {
	Graph      Graph
	Jobs       *job.Store
	Ledger     Ledger
	Dead       DeadLetters
	Verifier   *trigger.Verifier
	Queues     []printer.Queue
	Index      *index.Index
	Inflight   *inflight.Notes
	Evaluator  *evaluate.Evaluator
	Effects    *effect.Executor
	Clock      clock.Clock
	Instance   string
	Registerer prometheus.Registerer
	Logger     *zap.Logger
}

// Handler decides on arrived jobs. It is safe for concurrent use and starts no goroutine that
// outlives a call.
type Handler struct {
	graph     Graph
	jobs      *job.Store
	ledger    Ledger
	dead      DeadLetters
	verifier  *trigger.Verifier
	queues    printer.Queues
	index     *index.Index
	inflight  *inflight.Notes
	failures  *failures
	evaluator *evaluate.Evaluator
	effects   *effect.Executor
	clock     clock.Clock
	instance  string
	metrics   *metrics
	log       *zap.Logger
}

// New returns a Handler.
func New(o Options) *Handler {
	return &Handler{
		graph: o.Graph, jobs: o.Jobs, ledger: o.Ledger, dead: o.Dead, verifier: o.Verifier, queues: printer.NewQueues(o.Queues),
		index: o.Index, inflight: o.Inflight, failures: newFailures(), evaluator: o.Evaluator, effects: o.Effects, clock: o.Clock,
		instance: o.Instance, metrics: newMetrics(o.Registerer), log: o.Logger,
	}
}

// InHand reports whether a task is worked on, or comes again by itself, at a time.
func (h *Handler) InHand(task string, now time.Time) bool { return h.failures.inHand(task, now) }

// Handle takes one message of the stream of tasks. Whatever happens, the task
// is decided, comes again, or becomes a dead letter that says why.
func (h *Handler) Handle(ctx context.Context, d store.Delivery) (disp store.Disposition) {
	var ev trigger.Event
	defer func() {
		if p := recover(); p != nil {
			h.log.Error("worker panicked", zap.String("task", ev.Task), zap.String("panic", fmt.Sprintf("%T", p)), zap.Stack("stack"))
			disp = h.giveUp(ctx, d, ev, deadPanic, fmt.Errorf("panic (%T)", p))
		}
	}()
	n, err := trigger.ParseNotification(d.Body)
	if err != nil {
		return h.giveUp(ctx, d, ev, deadMalformed, err)
	}
	ev, err = h.verifier.VerifyLatest(ctx, n)
	if err != nil {
		return h.refuse(d, err)
	}
	began := time.Now()
	h.failures.begin(ev.Task, began)
	if err = h.arrive(ctx, d, ev); err == nil {
		h.failures.done(ev.Task)
		return store.Done()
	}
	return h.failed(ctx, d, ev, err, began)
}

// failed says what becomes of a task that could not be decided. A failure of the task's own
// is counted; an outage, or another instance that is acting on the job, only delays it.
func (h *Handler) failed(ctx context.Context, d store.Delivery, ev trigger.Event, err error, began time.Time) store.Disposition {
	pause := failurePause(min(d.Delivered, 6))
	switch {
	case errors.Is(err, errConflict):
		return h.giveUp(ctx, d, ev, deadConflict, err)
	case errors.Is(err, inflight.ErrCrashed):
		return h.giveUp(ctx, d, ev, deadCrash, err)
	case h.outage(err, began):
	case errors.Is(err, job.ErrBusy), errors.Is(err, ledger.ErrBusy):
		pause = max(pause, job.TakeOver/4)
	default:
		n := h.failures.failed(ev.Task)
		switch {
		case errors.Is(err, errUnknownJob) && n >= maxUnknown:
			h.failures.done(ev.Task)
			h.ignore(ignoredUnknown, ev)
			return store.Done()
		case n >= maxFailures:
			d.Delivered = n
			return h.giveUp(ctx, d, ev, deadAttempts, err)
		}
		pause = failurePause(n)
		h.log.Warn("task comes again", zap.String("task", ev.Task), zap.String("job", ev.Job), zap.Int("attempt", n),
			zap.Duration("after", pause), zap.Error(err))
	}
	pause = max(pause, retryAfterOf(err))
	h.failures.again(ev.Task, pause, time.Now())
	return store.Retry(pause)
}

// refuse drops a message that is not for us, without a call to Graph. While the verifier is
// not ready, the message is retried.
func (h *Handler) refuse(d store.Delivery, err error) store.Disposition {
	if errors.Is(err, trigger.ErrNotReady) {
		return store.Retry(time.Second)
	}
	reason := trigger.Result(err)
	h.metrics.ignored.WithLabelValues(reason).Inc()
	h.log.Debug("notification refused", zap.String("reason", reason), zap.Uint64("sequence", d.Sequence))
	return store.Done()
}

// DeadLetter is a record of PULLPRINT_DEAD: a task that was given up, and why.
type DeadLetter struct {
	At       time.Time `json:"at"`
	Reason   string    `json:"reason"`
	Error    string    `json:"error"`
	Attempts int       `json:"attempts"`
	// Sequence is the message in PULLPRINT_TASKS, which is still there for 7 days.
	Sequence   uint64    `json:"sequence"`
	Stored     time.Time `json:"stored"`
	Definition string    `json:"definition,omitempty"`
	Task       string    `json:"task,omitempty"`
	Printer    string    `json:"printer,omitempty"`
	Job        string    `json:"job,omitempty"`
	By         string    `json:"by"`
}

// giveUp stores a dead letter and acknowledges the message once it is stored.
func (h *Handler) giveUp(ctx context.Context, d store.Delivery, ev trigger.Event, reason string, cause error) store.Disposition {
	body, err := json.Marshal(DeadLetter{
		At: time.Now(), Reason: reason, Error: cause.Error(), Attempts: d.Delivered, Sequence: d.Sequence, Stored: d.Stored,
		Definition: ev.Definition, Task: ev.Task, Printer: ev.Printer, Job: ev.Job, By: h.instance,
	})
	// A task that the process died at may be in the stream several times, as the sweep after each
	// death found it waiting: it is one dead letter.
	id, once := strconv.FormatUint(d.Sequence, 10), reason == deadCrash
	if once {
		id = ev.Task + ":" + reason
	}
	if err == nil {
		err = h.dead.PublishDead(ctx, id, body)
	}
	if err != nil {
		h.log.Error("dead letter not stored, task comes again", zap.String("task", ev.Task), zap.Error(err))
		return store.Retry(failurePause(d.Delivered))
	}
	if !once {
		h.failures.done(ev.Task)
	} else if !h.failures.leftAlone(ev.Task, time.Now()) {
		return store.Done()
	}
	h.metrics.dead.WithLabelValues(reason).Inc()
	h.log.Error("task given up", zap.String("task", ev.Task), zap.String("job", ev.Job), zap.String("reason", reason),
		zap.Int("attempt", d.Delivered), zap.Uint64("sequence", d.Sequence), zap.NamedError("cause", cause))
	return store.Done()
}
