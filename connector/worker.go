// Package connector decides on print jobs, carries decisions out at Microsoft Graph and
// keeps their records: worker, releaser, sweeper, taps, and their metrics.
package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/held"
	"pullprint/connector/store"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger"
	"pullprint/trigger/graph"
)

// How long an instance may act on a stored intent, and after how long another instance may
// take the intent over. The 15 s between them are for the last call of a slow instance.
const (
	actWithin = 45 * time.Second
	takeOver  = 60 * time.Second
)

// Workers is how many tasks are worked on at once. Each is a goroutine that mostly waits
// for Graph or for a durable write; writes that wait together share one sync of the disk.
// The Graph client limits its calls itself.
const Workers = 512

// HandleLimit is how long a worker may take for one task: one that takes longer is stuck.
// The sum behind it is in the table of daemon.loops.
const HandleLimit = 10 * time.Minute

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

// errBusy says that another goroutine or instance is acting on the job.
var errBusy = errors.New("another instance is acting on the job")

// errBusyIf is errBusy when a compare-and-set did not take place.
func errBusyIf(busy bool) error {
	if busy {
		return errBusy
	}
	return nil
}

// errUnknownJob says that Graph does not know a job whose task it lists as waiting: the job
// is too new for one of its servers, or the answer is wrong.
var errUnknownJob = errors.New("graph does not know the job although its task waits")

// errConflict says that a finished job has another task than its record, and is no other job.
var errConflict = errors.New("the job has ended by its record but has a new task; cancel it in the Universal Print " +
	"portal and have it printed again")

// Graph is what the connector needs of Microsoft Graph; *graph.Client is one.
// Reads are retried by the client, effects never when they may have happened.
type Graph interface {
	Job(ctx context.Context, ref graph.Ref) (graph.Job, error)
	Jobs(ctx context.Context, printer string) iter.Seq2[graph.Job, error]
	Task(ctx context.Context, definition, task string) (graph.Task, error)
	Tasks(ctx context.Context, definition string) iter.Seq2[graph.Task, error]
	AbortJob(ctx context.Context, ref graph.Ref, reason string) error
	RedirectJob(ctx context.Context, ref graph.Ref, destination string, settings json.RawMessage) (graph.Ref, error)
	UpdateJob(ctx context.Context, ref graph.Ref, settings json.RawMessage) error
	Printer(ctx context.Context, id string) (graph.Printer, error)
	Attributes(ctx context.Context, printer string) (graph.Attributes, error)
	FinishTask(ctx context.Context, definition, task string, state graph.TaskState, description string) error
	Groups(ctx context.Context, user string) ([]graph.Group, error)
	Language(ctx context.Context, user string) (string, error)
	LastSuccess() time.Time
}

// Audit stores decisions and dead letters; *bus.Bus is one. Both are durable
// when they return nil, and publishing the same msgID again changes nothing.
type Audit interface {
	PublishDecision(ctx context.Context, verdict, msgID string, body []byte) error
	PublishDead(ctx context.Context, msgID string, body []byte) error
}

// Notices publishes notices to bridges, which pass them to people; *bus.Bus is one.
type Notices interface {
	Notify(ctx context.Context, msgID string, body []byte) error
}

// Ledger keeps the accounts; *quota.Ledger is one.
type Ledger interface {
	Reserve(ctx context.Context, c quota.Charge) error
	Settle(ctx context.Context, job string, accounts []quota.Account, now time.Time) (quota.Amount, error)
	Refund(ctx context.Context, job string, accounts []quota.Account, r quota.Refund, now time.Time) (quota.Amount, error)
	Reopen(ctx context.Context, job, owner string, accounts []quota.Account, amount quota.Amount, now time.Time) error
	Void(ctx context.Context, job, attempt string, accounts []quota.Account, now time.Time) (bool, error)
	Balances(ctx context.Context, claims []quota.Claim, now time.Time) ([]quota.Balance, error)
	View(ctx context.Context, a quota.Account) (quota.View, error)
	Open(ctx context.Context, fn func(quota.Account, quota.Reservation) error) error
}

// Deps are the dependencies of a Worker. All are required except Next, Pages, Inflight,
// Trigger, SelfTest, Devices and OnDecision.
type Deps struct {
	Graph    Graph
	Jobs     *held.Store
	Ledger   Ledger
	Audit    Audit
	Notices  Notices
	Verifier *trigger.Verifier
	Policy   func() *policy.Policy
	// Next returns the policy that is tried out in shadow: what it would decide is
	// recorded. It may return nil.
	Next func() *policy.Policy
	// Pages counts the pages of a document; without it no pages are counted.
	Pages func(ctx context.Context, job graph.Ref, d graph.Document) (int, error)
	// Inflight stores what is being worked on, so that the next process knows what this
	// one died of. Without it, a job that kills the process kills every later one, too.
	Inflight InflightKV
	// Trigger looks at the trigger of a printer, by the sign-in of an administrator
	// that is kept; without it, drift is noticed by what the jobs do.
	Trigger func(ctx context.Context, printer, definition string) (state, holder string, err error)
	// SelfTest knows the jobs of self-tests; nil when there are none.
	SelfTest *SelfTester
	Queues   []Queue
	Devices  []Device
	// GroupTTL is how long the groups of a person are cached; 0 is the default.
	GroupTTL time.Duration
	Index    *Index
	Metrics  *Metrics
	Logger   *zap.Logger
	// Instance names this process in records; it must be new at every start.
	Instance string
	// Sole is true when no other instance can be alive on the same store, so
	// that the intents of others are taken over at once.
	Sole bool
	// OnDecision, when set, is told of each decision after it took effect.
	OnDecision func(held.Decision)
}

// Worker decides on arrived jobs and carries decisions out. It is safe for
// concurrent use and starts no goroutine that outlives a call.
type Worker struct {
	Deps
	queues    queueSet
	log       *zap.Logger
	clock     clock
	inflight  *inflight
	attempts  *attempts
	evaluator *evaluator
	effects   *effects
}

// NewWorker makes a worker.
func NewWorker(d Deps) *Worker {
	d.Queues, d.Devices = canonicalQueues(d.Queues), canonicalDevices(d.Devices)
	w := &Worker{Deps: d, queues: newQueueSet(d.Queues), log: d.Logger.Named("worker"), attempts: newAttempts()}
	w.inflight = newInflight(&d, clock{d.Graph}.since, w.log)
	w.Graph = notedGraph{d.Graph, w.inflight}
	if d.Jobs != nil {
		w.Jobs = d.Jobs.Around(w.inflight.waitLong)
	}
	w.Ledger, w.Audit = notedLedger{d.Ledger, w.inflight}, notedAudit{d.Audit, w.inflight}
	w.clock = clock{w.Graph}
	w.evaluator = newEvaluator(&w.Deps, w.inflight, w.log)
	w.effects = newEffects(&w.Deps, w.clock, w.log)
	if d.SelfTest != nil {
		d.SelfTest.worker = w
	}
	return w
}

// QueueOf is the current name of a job's queue, which may have been renamed since the job
// arrived.
func (w *Worker) QueueOf(rec *held.Record) string {
	return w.queues.nameOf(rec)
}

// Handle takes one message of the stream of tasks. Whatever happens, the task
// is decided, comes again, or becomes a dead letter that says why.
func (w *Worker) Handle(ctx context.Context, d store.Delivery) (disp store.Disposition) {
	var ev trigger.Event
	defer func() {
		if p := recover(); p != nil {
			w.log.Error("worker panicked", zap.String("task", ev.Task), zap.String("panic", fmt.Sprintf("%T", p)), zap.Stack("stack"))
			disp = w.giveUp(ctx, d, ev, deadPanic, fmt.Errorf("panic (%T)", p))
		}
	}()
	n, err := trigger.ParseNotification(d.Body)
	if err != nil {
		return w.giveUp(ctx, d, ev, deadMalformed, err)
	}
	ev, err = w.Verifier.VerifyLatest(ctx, n)
	if err != nil {
		return w.refuse(d, err)
	}
	began := time.Now()
	w.attempts.begin(ev.Task, began)
	if err = w.arrive(ctx, d, ev); err == nil {
		w.attempts.done(ev.Task)
		return store.Done()
	}
	return w.failed(ctx, d, ev, err, began)
}

// failed says what becomes of a task that could not be decided. A failure of the task's own
// is counted; an outage, or another instance that is acting on the job, only delays it.
func (w *Worker) failed(ctx context.Context, d store.Delivery, ev trigger.Event, err error, began time.Time) store.Disposition {
	pause := failurePause(min(d.Attempt, 6))
	switch {
	case errors.Is(err, errConflict):
		return w.giveUp(ctx, d, ev, deadConflict, err)
	case errors.Is(err, errCrashed):
		return w.giveUp(ctx, d, ev, deadCrash, err)
	case w.outage(err, began):
	case errors.Is(err, errBusy), errors.Is(err, quota.ErrBusy):
		pause = max(pause, takeOver/4)
	default:
		n := w.attempts.failed(ev.Task)
		switch {
		case errors.Is(err, errUnknownJob) && n >= maxUnknown:
			w.attempts.done(ev.Task)
			w.ignore(ignoredUnknown, ev)
			return store.Done()
		case n >= maxAttempts:
			d.Attempt = n
			return w.giveUp(ctx, d, ev, deadAttempts, err)
		}
		pause = failurePause(n)
		w.log.Warn("task comes again", zap.String("task", ev.Task), zap.String("job", ev.Job), zap.Int("attempt", n),
			zap.Duration("after", pause), zap.Error(err))
	}
	pause = max(pause, retryAfterOf(err))
	w.attempts.again(ev.Task, pause, time.Now())
	return store.Retry(pause)
}

// refuse drops a message that is not for us, without a call to Graph. While the verifier is
// not ready, the message is retried.
func (w *Worker) refuse(d store.Delivery, err error) store.Disposition {
	if errors.Is(err, trigger.ErrNotReady) {
		return store.Retry(time.Second)
	}
	reason := trigger.Result(err)
	w.Metrics.ignored.WithLabelValues(reason).Inc()
	w.log.Debug("notification refused", zap.String("reason", reason), zap.Uint64("sequence", d.Sequence))
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
func (w *Worker) giveUp(ctx context.Context, d store.Delivery, ev trigger.Event, reason string, cause error) store.Disposition {
	body, err := json.Marshal(DeadLetter{
		At: time.Now(), Reason: reason, Error: cause.Error(), Attempts: d.Attempt, Sequence: d.Sequence, Stored: d.Stored,
		Definition: ev.Definition, Task: ev.Task, Printer: ev.Printer, Job: ev.Job, By: w.Instance,
	})
	// A task that the process died at may be in the stream several times, as the sweep after each
	// death found it waiting: it is one dead letter.
	id, once := strconv.FormatUint(d.Sequence, 10), reason == deadCrash
	if once {
		id = ev.Task + ":" + reason
	}
	if err == nil {
		err = w.Audit.PublishDead(ctx, id, body)
	}
	if err != nil {
		w.log.Error("dead letter not stored, task comes again", zap.String("task", ev.Task), zap.Error(err))
		return store.Retry(failurePause(d.Attempt))
	}
	if !once {
		w.attempts.done(ev.Task)
	} else if !w.attempts.leftAlone(ev.Task, time.Now()) {
		return store.Done()
	}
	w.Metrics.dead.WithLabelValues(reason).Inc()
	w.log.Error("task given up", zap.String("task", ev.Task), zap.String("job", ev.Job), zap.String("reason", reason),
		zap.Int("attempt", d.Attempt), zap.Uint64("sequence", d.Sequence), zap.NamedError("cause", cause))
	return store.Done()
}
