// Package sweep compares what Graph lists with what is stored and corrects what differs: tasks
// whose notification was lost, intents without an outcome, holds that end, jobs that have ended at
// their printer and what they reserved, queues that have lost their trigger.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/clock"
	"pullprint/connector/effect"
	"pullprint/connector/evaluate"
	"pullprint/connector/index"
	"pullprint/connector/inflight"
	"pullprint/connector/job"
	"pullprint/connector/job/readback"
	"pullprint/connector/notice"
	"pullprint/connector/printer"
	"pullprint/connector/recovery"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger"
	"pullprint/trigger/graph"
	"pullprint/trigger/wait"
)

// The pace of sweeps.
const (
	// sweepEvery is the pause between two sweeps: a job whose notification was lost is found
	// within 120 s, which are two of them.
	sweepEvery = 60 * time.Second
	// sweepAgain is the pause after a sweep that failed: long enough not to load a Graph that
	// is in trouble, short enough to sweep several times a minute.
	sweepAgain = 10 * time.Second
	// sweepWithin bounds a sweep: with the pause before it and an effect that is begun at its
	// end it stays well below Limit.
	sweepWithin = 5 * time.Minute
	// listWithin bounds the reading of the list of tasks. It leaves a minute of sweepWithin for
	// the records that are due, so that a slow list does not keep holds from ending.
	listWithin = 4 * time.Minute
	// sweepActs is how many jobs are acted on at once: an eighth of the calls to Graph that may
	// run at once, so that taps and arrivals have the rest.
	sweepActs = 8
)

// Limit is how long a turn of Run may take: one that takes longer is stuck. The sum
// behind it is in the table of daemon.loops.
const Limit = 10 * time.Minute

// A sweep also reads some held jobs whose task Graph still lists as waiting,
// in turn: what becomes of the task when a user cancels or Graph deletes the
// job is not documented. Each held job is read once an hour, up to 30,000.
const (
	minLooks = 20
	maxLooks = 500
)

// errNoDefinition says that the registrar has not found or made the task
// definition yet, which is no failure of the sweep.
var errNoDefinition = errors.New("the task definition is not known yet")

// Sweeper compares what Graph lists with what the records say, and corrects what differs:
// it finds what the webhook missed.
type Sweeper struct {
	graph     Graph
	feed      Feed
	jobs      *job.Store
	index     *index.Index
	ledger    Ledger
	notices   notice.Notices
	verifier  *trigger.Verifier
	trigger   func(ctx context.Context, printer, definition string) (state, holder string, err error) // may be nil
	policy    func() *policy.Policy
	queues    printer.Queues
	list      []printer.Queue
	devices   []printer.Device
	evaluator *evaluate.Evaluator
	effects   *effect.Executor
	inflight  *inflight.Notes
	arrivals  Arrivals
	clock     clock.Clock
	instance  string
	metrics   *metrics
	log       *zap.Logger

	kick       chan struct{}
	lastLooked string // key of the held job that was looked at last
	last       atomic.Int64
	loopTurned atomic.Int64
	lastEnded  string // job of the reservation that was looked at last
	// key of the job without a reservation that was followed last
	lastFollowed string
	listed       map[string]time.Time // when the jobs of a printer were listed last
	drifted      drift
	unknown      unknowns
	stranded     map[string]int // held jobs of queues that are not configured
}

// Graph lists tasks and jobs; *graph.Client is one.
type Graph interface {
	Job(ctx context.Context, ref graph.Ref) (graph.Job, error)
	Jobs(ctx context.Context, printer string) iter.Seq2[graph.Job, error]
	Printer(ctx context.Context, id string) (graph.Printer, error)
	Task(ctx context.Context, definition, task string) (graph.Task, error)
	Tasks(ctx context.Context, definition string) iter.Seq2[graph.Task, error]
}

// Ledger ends reservations; *ledger.Ledger is one.
type Ledger interface {
	Open(ctx context.Context, fn func(quota.Account, quota.Reservation) error) error
	Settle(ctx context.Context, job string, accounts []quota.Account, now time.Time) (quota.Amount, error)
	Refund(ctx context.Context, job string, accounts []quota.Account, r quota.Refund, now time.Time) (quota.Amount, error)
	Void(ctx context.Context, job, attempt string, accounts []quota.Account, now time.Time) (bool, error)
}

// LastSuccess is when this instance last completed a sweep; zero when it has not, for example
// because another instance sweeps.
func (s *Sweeper) LastSuccess() time.Time {
	if at := s.last.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Turned is when the loop of Run began its last turn; zero while Run is not running, for
// example because another instance sweeps.
func (s *Sweeper) Turned() time.Time {
	if at := s.loopTurned.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Options are what a Sweeper is made of. All are required except Trigger and Registerer.
type Options struct {
	Graph    Graph
	Feed     Feed
	Jobs     *job.Store
	Index    *index.Index
	Ledger   Ledger
	Notices  notice.Notices
	Verifier *trigger.Verifier
	// Trigger looks at the trigger of a printer, by the sign-in of an administrator that is
	// kept; without it, drift is noticed by what the jobs do.
	Trigger   func(ctx context.Context, printer, definition string) (state, holder string, err error)
	Policy    func() *policy.Policy
	Queues    []printer.Queue
	Devices   []printer.Device
	Evaluator *evaluate.Evaluator
	Effects   *effect.Executor
	Inflight  *inflight.Notes
	// Arrivals tells which tasks need not be put into the stream again.
	Arrivals   Arrivals
	Clock      clock.Clock
	Instance   string
	Registerer prometheus.Registerer
	Logger     *zap.Logger
}

// Arrivals reports whether a task is worked on, or comes again by itself, at a time.
type Arrivals interface {
	InHand(task string, now time.Time) bool
}

// New returns a Sweeper; Run does the work.
func New(o Options) *Sweeper {
	return &Sweeper{
		graph: o.Graph, feed: o.Feed, jobs: o.Jobs, index: o.Index, ledger: o.Ledger, notices: o.Notices, verifier: o.Verifier,
		trigger: o.Trigger, policy: o.Policy, queues: printer.NewQueues(o.Queues), list: o.Queues, devices: o.Devices,
		evaluator: o.Evaluator, effects: o.Effects, inflight: o.Inflight, arrivals: o.Arrivals, clock: o.Clock,
		instance: o.Instance, metrics: newMetrics(o.Registerer, o.Queues, o.Devices), log: o.Logger, kick: make(chan struct{}, 1),
		drifted: drift{since: time.Now(), queues: map[string]bool{}}, listed: map[string]time.Time{},
		unknown: unknowns{tasks: map[string]unknown{}},
	}
}

// Kick asks for a sweep now, for example after the subscription was gone. It
// never blocks.
func (s *Sweeper) Kick() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Run sweeps at once, every 60 seconds, when kicked, and 10 seconds after a
// sweep that failed, until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	defer s.resign()
	failing := false
	defer s.loopTurned.Store(0)
	for {
		s.loopTurned.Store(time.Now().UnixNano())
		pause := sweepEvery
		switch err := s.Sweep(ctx); {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errNoDefinition):
			pause = time.Second
		case err != nil:
			pause = sweepAgain
			s.log.Warn("sweep failed, comes again", zap.Duration("after", pause), zap.Error(err))
			failing = true
		case failing:
			s.log.Info("sweep works again")
			failing = false
		}
		if err := wait.For(ctx, pause, s.kick); err != nil {
			return err
		}
	}
}

// resign resets what the next sweeping replica has to find out itself.
func (s *Sweeper) resign() {
	s.metrics.reset(s.list)
	s.drifted = drift{since: s.drifted.since, queues: map[string]bool{}}
}

// Sweep does one sweep: it feeds unknown tasks into the stream, resumes intents without an
// outcome, warns owners before the end of a hold and aborts jobs after it, ends the records
// of jobs that have ended, follows those that were let go on to paper, and ends reservations.
func (s *Sweeper) Sweep(ctx context.Context) error {
	err := s.sweep(ctx)
	if errors.Is(err, errNoDefinition) {
		return err
	}
	if err != nil {
		s.metrics.sweeps.WithLabelValues("failed").Inc()
		return err
	}
	s.metrics.sweeps.WithLabelValues("ok").Inc()
	s.metrics.lastSweep.SetToCurrentTime()
	s.last.Store(time.Now().UnixNano())
	return nil
}

// sweep does all parts of a sweep, also when one of them fails.
func (s *Sweeper) sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sweepWithin)
	defer cancel()
	definition := s.verifier.Definition()
	if definition == "" {
		return errNoDefinition
	}
	// The records are read before the list of tasks, so that a record made in between is
	// not taken for one without a task. The next sweep looks at it.
	open := s.index.Open()
	listed, listErr := s.feedListed(ctx, definition)
	err := errors.Join(listErr, s.lookAt(ctx, open, listed))
	s.tellHeadroom(time.Now())
	s.lookForDrift(ctx, time.Now())
	return errors.Join(err, s.endAtPrinters(ctx))
}

// feedListed lists the tasks at Graph and feeds the unknown ones into the stream. listed has
// the jobs of waiting tasks; it is nil when the list could not be read to its end.
func (s *Sweeper) feedListed(ctx context.Context, definition string) (listed map[graph.Ref]bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, listWithin)
	defer cancel()
	behind, err := s.behind(ctx)
	if err != nil {
		return nil, err
	}
	acts, actCtx := errgroup.WithContext(ctx)
	acts.SetLimit(sweepActs)
	listed = map[graph.Ref]bool{}
	s.unknown.next()
	for task, err := range s.graph.Tasks(ctx, definition) {
		if err != nil {
			return nil, errors.Join(fmt.Errorf("list tasks: %w", err), acts.Wait())
		}
		if readback.TaskFinished(task.State) || task.Job == (graph.Ref{}) {
			continue
		}
		listed[task.Job] = true
		acts.Go(func() error { return s.alone(func() error { return s.task(actCtx, definition, task, behind) }) })
	}
	return listed, acts.Wait()
}

// lookAt handles the open records that are due or whose job is not in Graph's list, and some
// of the others. Without a list it handles only those that are due.
func (s *Sweeper) lookAt(ctx context.Context, open iter.Seq[index.Entry], listed map[graph.Ref]bool) error {
	acts, actCtx := errgroup.WithContext(ctx)
	acts.SetLimit(sweepActs)
	look := func(key string, warn bool) {
		acts.Go(func() error { return s.alone(func() error { return s.record(actCtx, key, warn) }) })
	}
	var waiting []string // the keys of their records
	stranded := map[string]int{}
	now := s.clock.Earlier()
	for e := range open {
		q, ok := s.queues.At(e.Printer)
		if !ok && e.State == job.Held {
			stranded[e.Queue]++
		}
		warn := s.clock.Heard() && dueWarning(e, q, now)
		switch {
		case warn, e.State.Intent(), s.expired(e.State, e.HoldUntil), (listed != nil && !listed[e.Ref]):
			look(e.Key, warn)
		case listed != nil:
			waiting = append(waiting, e.Key)
		}
	}
	s.tellStranded(stranded)
	looks := min(maxLooks, max(minLooks, len(waiting)/60+1))
	for key := range inTurn(&s.lastLooked, waiting, looks, func(key string) string { return key }) {
		if actCtx.Err() != nil {
			break
		}
		look(key, false)
	}
	return acts.Wait()
}

// alone handles one task or record: a panic affects only that one, until the next sweep.
func (s *Sweeper) alone(fn func() error) error {
	err := recovery.Catch(fn)
	if p, ok := errors.AsType[*recovery.Panic](err); ok {
		s.log.Error("sweep panicked, the job is left to the next", zap.Error(p))
		return nil
	}
	return err
}

// tellStranded logs once how many jobs are held for queues that are not configured any more, n by the
// name of the queue: no device can release them.
func (s *Sweeper) tellStranded(n map[string]int) {
	for queue, jobs := range n {
		if s.stranded[queue] == 0 {
			s.log.Warn("jobs are held for a queue that is not configured: put it back to have them released, "+
				"or they are aborted when their hold ends",
				zap.String("queue", queue), zap.Int("jobs", jobs))
		}
	}
	s.stranded = n
}
