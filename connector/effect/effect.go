// Package effect carries decisions out, once: intent, reservation, call of Graph, outcome, audit. It
// is the only caller of what changes a job at Graph, and owns the claim on a job within a process.
//
// It makes three decisions itself, each from what it finds out while it carries one out: that an
// account is exhausted, that a device is unavailable, and that a redirect was made late.
package effect

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/clock"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/recovery"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// Cause says what led to an effect.
type Cause struct {
	// StartedAt is when the notification was stored or the badge was shown, zero
	// when the sweep resumes.
	StartedAt time.Time
	// Redelivered is true when the effect belongs to a message, which is redelivered if
	// this process dies.
	Redelivered bool
	// verifyFirst is true when the effect may have happened already: the job is read
	// before anything is done.
	verifyFirst bool
	// Settings are the job's own, as Graph told; what rules rewrote is laid over
	// them. With verifyFirst they are read.
	Settings json.RawMessage
	// OnReserved, when set, is called when what the job costs is reserved.
	OnReserved func()
}

// Executor carries stored intents out. It is safe for concurrent use.
type Executor struct {
	graph    Graph
	jobs     *job.Store
	ledger   Ledger
	audit    Audit
	policy   func() *policy.Policy
	devices  []printer.Device
	metrics  *metrics
	clock    clock.Clock
	log      *zap.Logger
	instance string
	// sole is true when no other instance can be alive on the same store.
	sole       bool
	onDecision func(decision.Decision) // may be nil

	mu   sync.Mutex      // guards busy
	busy map[string]bool // keys of the jobs this process is acting on
}

// jobReader reads what became of a job at Graph.
type jobReader interface {
	Job(ctx context.Context, ref graph.Ref) (graph.Job, error)
	Jobs(ctx context.Context, printer string) iter.Seq2[graph.Job, error]
	Task(ctx context.Context, definition, task string) (graph.Task, error)
}

// jobChanger makes effects at Graph. None of them is retried by the client when it may
// have happened.
type jobChanger interface {
	AbortJob(ctx context.Context, ref graph.Ref, reason string) error
	RedirectJob(ctx context.Context, ref graph.Ref, destination string, settings json.RawMessage) (graph.Ref, error)
	UpdateJob(ctx context.Context, ref graph.Ref, settings json.RawMessage) error
	FinishTask(ctx context.Context, definition, task string, state graph.TaskState, description string) error
}

// Graph is what effects need of Microsoft Graph; *graph.Client is one.
type Graph interface {
	jobReader
	jobChanger
}

// Ledger reserves what a job costs, and gives it back.
type Ledger interface {
	Reserve(ctx context.Context, c quota.Charge) error
	Reopen(ctx context.Context, accounts []quota.Account, c quota.Charge) error
	Void(ctx context.Context, job, attempt string, accounts []quota.Account, now time.Time) (bool, error)
}

// Options are what an Executor is made of. All are required except Registerer and OnDecision.
type Options struct {
	Graph    Graph
	Jobs     *job.Store
	Ledger   Ledger
	Audit    Audit
	Policy   func() *policy.Policy
	Queues   []printer.Queue
	Devices  []printer.Device
	Clock    clock.Clock
	Instance string
	// Sole is true when no other instance can be alive on the same store, so that the intents
	// of others are taken over at once.
	Sole bool
	// OnDecision is told of each decision after it took effect.
	OnDecision func(decision.Decision)
	Registerer prometheus.Registerer
	Logger     *zap.Logger
}

// New returns an Executor; it acts on nothing until it is called.
func New(o Options) *Executor {
	return &Executor{
		graph: o.Graph, jobs: o.Jobs, ledger: o.Ledger, audit: o.Audit, policy: o.Policy, devices: o.Devices,
		metrics: newMetrics(o.Registerer, o.Queues), clock: o.Clock, log: o.Logger, instance: o.Instance, sole: o.Sole,
		onDecision: o.OnDecision, busy: map[string]bool{},
	}
}

// Claim makes this goroutine the only one of the process that acts on a job.
func (e *Executor) Claim(key string) (unclaim func(), ok bool) {
	key = strings.ToLower(key) // a record has one claim, whichever case its owner's id has
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy[key] {
		return nil, false
	}
	e.busy[key] = true
	return sync.OnceFunc(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.busy, key)
	}), true
}

// storeIntent stores the intent to act on a held job. The error is job.ErrBusy after a
// concurrent update. The caller has claimed the job.
func (e *Executor) storeIntent(ctx context.Context, rec *job.Record, rev uint64, to job.State, note string) (newRev uint64, err error) {
	before := rec.State
	if err := rec.Move(to, time.Now(), e.instance, note); err != nil {
		return 0, err
	}
	newRev, ok, err := e.jobs.Put(ctx, rec, rev)
	if err == nil && !ok {
		err = job.ErrBusy
	}
	if err == nil {
		e.HoldEnded(before, rec)
	}
	return newRev, err
}

// Abort ends a held job, by a decision that has a reason. Its caller has
// claimed it. Crash safety is that of CarryOut.
func (e *Executor) Abort(ctx context.Context, rec job.Record, rev uint64, d decision.Decision) (job.Record, error) {
	if err := e.PublishArrival(ctx, &rec); err != nil {
		return rec, err
	}
	rec.Decision = d
	rev, err := e.storeIntent(ctx, &rec, rev, job.Aborting, d.Reason)
	if err != nil {
		return rec, err
	}
	return e.CarryOut(ctx, rec, rev, Cause{})
}

// Redirect sends a held job to where its owner stands, which is Release of the record, by
// a decision. Its caller has claimed it. Crash safety is that of CarryOut.
func (e *Executor) Redirect(
	ctx context.Context, rec job.Record, rev uint64, d decision.Decision, a Cause,
) (job.Record, error) {
	if err := e.PublishArrival(ctx, &rec); err != nil {
		return rec, err
	}
	if rec.Sent == nil {
		sent := rec.Decision.Input
		rec.Sent = &sent
	}
	rec.Decision = d
	rec.Tried()
	rev, err := e.storeIntent(ctx, &rec, rev, job.Releasing, rec.Release.Device)
	if err != nil {
		return rec, err
	}
	return e.CarryOut(ctx, rec, rev, a)
}

// CarryOut makes the effect of a stored intent happen, once. Crash safety, in the
// order of the steps:
//
//  1. the intent is stored (by the caller). If the process dies here, nothing has
//     happened: the next look at the job shows that, and the effect is called for.
//  2. Graph is called. If the process dies during or after the call, the next look
//     at the job shows whether the effect has happened (job aborted, task
//     completed).
//  3. the decision is published under its own id, and the outcome is stored. If the
//     process dies between, the intent is resumed and the decision published again
//     under the same id, which changes nothing. If the outcome is stored first and
//     the process dies before the decision is published, the message, which is not
//     acknowledged, finds a final record and publishes the decision. A tap and the
//     sweep have no message that comes again, so they publish first.
//
// After an error the intent may still be stored, and is resumed later; or its
// outcome is stored, and only the decision is not published: then a message that is
// redelivered publishes it. Without an error the record that is returned is the one
// that was stored: final, or held again after a redirect that was not seen to be
// made.
func (e *Executor) CarryOut(ctx context.Context, rec job.Record, rev uint64, a Cause) (job.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, job.ActWithin)
	defer cancel()
	ans, err := e.callGraph(ctx, &rec, a)
	if ex, ok := errors.AsType[*quota.Exhausted](err); ok && rec.State == job.Completing {
		return e.abortExhausted(ctx, rec, rev, ex, a)
	}
	if err != nil {
		return rec, err
	}
	op := operation(rec.State)
	rec.Decision.Answer = &decision.Answer{
		Operation: op, Outcome: string(ans.outcome), ReadBack: ans.readBack, Presumed: ans.presumed, At: time.Now(),
	}
	if err := e.chargePrinted(ctx, &rec, ans); err != nil {
		return rec, err
	}
	if ans.outcome == job.Held && rec.Decision.Verdict == string(policy.Redirect) {
		decideDeviceUnavailable(&rec)
	}
	note := ans.note(op)
	if err := rec.Move(ans.outcome, time.Now(), e.instance, note); err != nil {
		return rec, err
	}
	if ans.outcome == job.Gone && !ans.late {
		return e.endGone(ctx, rec, rev, note)
	}
	return e.end(ctx, rec, rev, ans, a)
}

// abortExhausted aborts a job that was to be completed and that no account covers any more.
func (e *Executor) abortExhausted(
	ctx context.Context, rec job.Record, rev uint64, ex *quota.Exhausted, a Cause,
) (job.Record, error) {
	e.DecideExhausted(&rec, ex, policy.Abort)
	rec.Charge = nil
	rev, err := e.storeIntent(ctx, &rec, rev, job.Aborting, rec.Decision.Reason)
	if err != nil {
		return rec, err
	}
	return e.CarryOut(ctx, rec, rev, Cause{StartedAt: a.StartedAt, Redelivered: a.Redelivered})
}

// endGone stores that a job ended without us.
func (e *Executor) endGone(ctx context.Context, rec job.Record, rev uint64, note string) (job.Record, error) {
	ours, err := e.storeOutcome(ctx, &rec, rev)
	if ours {
		e.void(ctx, &rec)
		e.reportGone(&rec, note)
	}
	return rec, err
}

// end stores the outcome of an effect, publishes its decision, and gives back what it did not
// cost: step 3 of CarryOut.
func (e *Executor) end(ctx context.Context, rec job.Record, rev uint64, ans result, a Cause) (job.Record, error) {
	tried := e.undoTry(ctx, &rec, ans)
	var publishing errgroup.Group
	publishing.Go(func() error { return recovery.Catch(func() error { return e.Publish(ctx, &rec) }) })
	if !a.Redelivered || ans.readBack { // what was found late may have no message behind it that tells of it
		if err := publishing.Wait(); err != nil {
			return rec, err
		}
	}
	ours, err := e.storeOutcome(ctx, &rec, rev)
	published := publishing.Wait()
	if err != nil {
		return rec, errors.Join(err, published)
	}
	switch {
	case ans.outcome == job.Aborted:
		e.void(ctx, &rec)
	case tried != nil && !tried.AtArrival:
		e.giveBack(ctx, &rec, tried, tried.Attempt)
	}
	if ours { // also before the audit has it: a message is behind it then, and comes again
		e.Report(&rec, a.StartedAt)
	}
	return rec, published
}

// decideDeviceUnavailable makes the decision to redirect one to keep: the redirect was surely not
// made.
func decideDeviceUnavailable(rec *job.Record) {
	own := policy.Own(reasons.DeviceUnavailable)
	d := &rec.Decision
	d.ID = decision.KeptID(d.ID)
	d.Verdict, d.Reason, d.Rule, d.Text, d.Remedy, d.IPP = string(policy.Keep), own.Reason, "", own.Text, own.Remedy, own.IPP
}

// storeOutcome stores the record of an intent that has ended. If another instance resumed
// the intent and has stored the same end before, that instance counts and logs it.
func (e *Executor) storeOutcome(ctx context.Context, rec *job.Record, rev uint64) (ours bool, err error) {
	_, ours, err = e.jobs.Put(ctx, rec, rev)
	if err != nil || ours {
		return ours, err
	}
	now, rev, err := e.jobs.Get(ctx, rec.Key())
	if err != nil || rev == 0 || now.State != rec.State {
		return false, errors.Join(job.ErrBusy, err)
	}
	return false, nil
}

// result is how an effect ended, or what Graph's answers show of it.
type result struct {
	// outcome is the state that the job comes to; empty when the effect has not happened and can
	// still be called for, with the job's own settings.
	outcome  job.State
	settings json.RawMessage
	// readBack is true when the outcome was read from the job, because the answer to the call was
	// lost, refused or never seen.
	readBack bool
	// presumed is true when nothing is left at Graph that shows whether the effect has happened.
	presumed bool
	// notMade is true when a redirect was surely not made. Else it was not seen to be
	// made: what it costs stays reserved until the sweep has looked once more.
	notMade bool
	// late is true when a job that was to be aborted was found redirected by a try
	// that had been taken for not made.
	late bool
}

// note is what the record's trail says about it.
func (r *result) note(operation string) string {
	switch {
	case r.outcome == job.Held:
		return "not made"
	case r.presumed:
		return operation + ", graph does not know the job any more"
	case r.readBack:
		return operation + ", read back"
	}
	return operation
}
