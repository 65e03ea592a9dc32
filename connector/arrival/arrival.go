package arrival

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/clock"
	"pullprint/connector/decision"
	"pullprint/connector/effect"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/job/readback"
	"pullprint/connector/printer"
	"pullprint/connector/store"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
	"pullprint/trigger"
	"pullprint/trigger/graph"
)

// arrive takes a verified event to a stored decision. Crash safety, in the order of
// the steps; the message is acknowledged after all of them:
//
//  1. the job is read and nothing is stored. If the process dies here, the message comes
//     again.
//  2. hold: the record is created, then the decision is published. If the
//     process dies between, the message comes again, finds the record and publishes
//     the same decision under the same id: see confirmDecided.
//  3. complete, abort: the record is created as an intent, with the decision
//     in it. If the process dies after, the message (or the sweep) finds the intent
//     and reads the job back before anything else. See effect.Executor.CarryOut.
func (h *Handler) arrive(ctx context.Context, d store.Delivery, ev trigger.Event) (err error) {
	ref, err := h.jobOf(ctx, ev)
	if err != nil || ref == (graph.Ref{}) {
		return err
	}
	q, ok := h.queues.At(ref.Printer)
	if !ok {
		h.ignore(ignoredQueue, ev)
		return nil
	}
	known, ok := h.index.Lookup(ref)
	if ok && h.decided(known, ev, q) {
		return h.confirmDecided(ctx, d, ev, known)
	}
	if h.inflight.Risky(d.Delivered, d.Stored) {
		noted, end, busy := h.inflight.Begin(ctx, ref)
		if busy != nil {
			return busy
		}
		ctx = noted
		defer func() { end(err == nil) }()
	}
	j, err := h.effects.ReadJob(ctx, ref)
	if graph.IsNotFound(err) {
		return h.unknownJob(ctx, d, ev, known)
	}
	if err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	ours, err := h.taskOf(ctx, d, ev, j)
	if err != nil || !ours {
		return err
	}
	return h.decideArrival(ctx, d, ev, jobState{job: j, q: q}, ok)
}

// decided reports whether a job is decided by what the index knows of it.
func (h *Handler) decided(known index.Entry, ev trigger.Event, q printer.Queue) bool {
	return readback.SameTask(known.Task, ev.Task) && !known.State.Intent() && known.State != job.Gone &&
		!h.evaluator.NeedsDecision(known, q)
}

// unknownJob handles an event whose job Graph does not know: it is over when Graph does not know its
// task either or says that it is finished. While the task waits, the job is not over: an unfinished
// task outweighs the 404.
func (h *Handler) unknownJob(ctx context.Context, d store.Delivery, ev trigger.Event, known index.Entry) error {
	task, err := h.graph.Task(ctx, ev.Definition, ev.Task)
	switch {
	case err != nil && !graph.IsNotFound(err):
		return fmt.Errorf("read task: %w", err)
	case err == nil && !readback.TaskFinished(task.State) && known.State != job.Gone:
		return errUnknownJob
	}
	h.ignore(ignoredFinished, ev)
	return h.effects.FinishIfEnded(ctx, d.Stored, known.Key, "graph does not know the job")
}

// maxDecisions is how often a delivery decides about its job when others store the record first. It is
// less than store.MaxConflicts, as each decision may read of Graph and takes of the time that the
// delivery has: as many as there are replicas at most, and then the job waits for the next delivery.
const maxDecisions = 8

// decideArrival takes a job from its record, if there is one, to a stored decision. known
// says that there may be one. After a concurrent update it decides again, up to maxDecisions times.
func (h *Handler) decideArrival(ctx context.Context, d store.Delivery, ev trigger.Event, f jobState, known bool) (err error) {
	key := job.Key(f.job.CreatedBy.ID, f.job.Ref)
	for range maxDecisions {
		at := f
		if known {
			if at.rec, at.rev, err = h.jobs.Get(ctx, key); err != nil {
				return err
			}
		}
		if at.rev != 0 {
			err = h.handleExisting(ctx, d, ev, at)
		} else if at.rec, err = h.evaluator.NewRecord(ctx, ev, f.job, f.q); err == nil {
			key = at.rec.Key()
			err = h.storeDecision(ctx, d, at)
		}
		if !errors.Is(err, job.ErrOutrun) {
			return err
		}
		known = true
	}
	return err
}

// jobState is a job as Graph has it and its record as the store has it, or as it
// is about to be created (revision 0).
type jobState struct {
	rec job.Record
	rev uint64
	job graph.Job
	q   printer.Queue
}

// jobOf is the job of an event. If the notification has no parentUrl, the task is read for
// it; a task that Graph does not know has no job.
func (h *Handler) jobOf(ctx context.Context, ev trigger.Event) (graph.Ref, error) {
	if ev.Job != "" {
		return graph.Ref{Printer: ev.Printer, Job: ev.Job}, nil
	}
	task, err := h.graph.Task(ctx, ev.Definition, ev.Task)
	if graph.IsNotFound(err) {
		h.ignore(ignoredForeign, ev)
		return graph.Ref{}, nil
	}
	if err != nil {
		return graph.Ref{}, fmt.Errorf("read task: %w", err)
	}
	if task.Job == (graph.Ref{}) {
		h.ignore(ignoredForeign, ev)
	}
	return task.Job, nil
}

// taskOf reports whether the event's task belongs to the job and waits for us.
// A forged event that names another's job ends here, after one read.
func (h *Handler) taskOf(ctx context.Context, d store.Delivery, ev trigger.Event, j graph.Job) (bool, error) {
	var state graph.TaskState
	if i := slices.IndexFunc(j.Tasks, func(t graph.Task) bool { return readback.SameTask(t.ID, ev.Task) }); i >= 0 {
		state = j.Tasks[i].State
	} else {
		t, err := h.graph.Task(ctx, ev.Definition, ev.Task)
		if graph.IsNotFound(err) || (err == nil && t.Job != j.Ref) {
			h.ignore(ignoredForeign, ev)
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read task: %w", err)
		}
		state = t.State
	}
	if readback.TaskFinished(state) {
		h.ignore(ignoredFinished, ev)
		return false, h.effects.FinishIfEnded(ctx, d.Stored, job.Key(j.CreatedBy.ID, j.Ref), "graph says the job is over")
	}
	return true, nil
}

// storeDecision stores the first state after the decision and goes on from there.
// The error is job.ErrOutrun after a concurrent update.
func (h *Handler) storeDecision(ctx context.Context, d store.Delivery, f jobState) error {
	unclaim, ok := h.effects.Claim(f.rec.Key())
	if !ok {
		return job.ErrBusy
	}
	defer unclaim()
	state := stateAfter(policy.Verdict(f.rec.Decision.Verdict))
	if state == job.Held && f.rec.Charge != nil {
		exhausted, err := h.reserveHeld(ctx, &f)
		if err != nil {
			return err
		}
		if exhausted {
			state = job.Aborting
		}
	}
	before := f.rec.State
	if before != state { // a held job that is held again keeps its place
		if err := f.rec.Move(state, time.Now(), h.instance, ""); err != nil {
			return err
		}
	}
	if state == job.Held {
		f.rec.HoldUntil = h.holdStart(&f).Add(f.q.HoldFor)
		f.rec.Set = f.rec.Decision.Set
	}
	rev, ok, err := h.jobs.Put(ctx, &f.rec, f.rev)
	if err != nil {
		return err
	}
	if !ok {
		return job.ErrOutrun
	}
	h.effects.HoldEnded(before, &f.rec)
	if state != job.Held {
		_, err := h.effects.CarryOut(ctx, f.rec, rev, effect.Cause{StartedAt: d.Stored, Redelivered: true, Settings: f.job.Settings})
		return err
	}
	err = h.effects.Publish(ctx, &f.rec)
	h.effects.Report(&f.rec, d.Stored) // also before the audit has it: whoever stored it tells of it
	return err
}

// stateAfter is the first state of a job after a decision at arrival.
func stateAfter(v policy.Verdict) job.State {
	switch v {
	case policy.Abort:
		return job.Aborting
	case policy.Complete:
		return job.Completing
	}
	return job.Held
}

// reserveHeld reserves what a job costs that is paid for on arrival. When the account is exhausted,
// the decision is to abort it.
func (h *Handler) reserveHeld(ctx context.Context, f *jobState) (exhausted bool, err error) {
	if err := h.effects.Unchanged(ctx, &f.rec, f.rev); err != nil {
		return false, err
	}
	err = h.effects.Reserve(ctx, &f.rec, false)
	var ex *quota.Exhausted
	switch {
	case errors.Is(err, quota.ErrFull):
		// There is room again when others have printed: it is reserved for when it is released.
		h.log.Warn("account has too many open reservations, job is held unpaid", zap.String("job", f.rec.Job),
			zap.String("task", f.rec.Task))
		f.rec.Charge = nil
		return false, nil
	case errors.As(err, &ex):
		h.effects.DecideExhausted(&f.rec, ex, policy.Abort)
		f.rec.Charge = nil
		return true, nil
	}
	return false, err
}

// handleExisting continues with a job that has a record: the message is a duplicate or a
// redelivery, or another instance has handled the job.
func (h *Handler) handleExisting(ctx context.Context, d store.Delivery, ev trigger.Event, f jobState) error {
	known := index.Entry{
		Task: f.rec.Task, State: f.rec.State, Reason: f.rec.Decision.Reason, Policy: f.rec.Decision.Policy, Mode: f.rec.Decision.Input.Mode,
	}
	switch {
	case readback.AnotherJob(&f.rec, f.job):
		return h.endFormer(ctx, d, ev, f)
	case f.rec.State.Intent():
		return h.effects.Resume(ctx, f.rec, f.rev, d.Stored)
	case f.rec.State == job.Gone && !readback.Revivable(&f.rec, f.job):
		h.ignore(ignoredFinished, ev)
		h.effects.CloseTask(ctx, ev.Definition, ev.Task, f.job)
		return nil
	case f.rec.State.Final() && f.rec.State != job.Gone && !readback.SameTask(f.rec.Task, ev.Task):
		return errConflict
	case f.rec.State == job.Gone, h.evaluator.NeedsDecision(known, f.q):
		return h.decideAgain(ctx, d, ev, f)
	}
	return h.confirmDecided(ctx, d, ev, index.Entry{Key: f.rec.Key(), Seen: f.rec.Seen})
}

// decideAgain decides once more on a held job, or on one that is gone by its record and waits at Graph.
func (h *Handler) decideAgain(ctx context.Context, d store.Delivery, ev trigger.Event, f jobState) error {
	gone := f.rec.State == job.Gone
	if !gone && f.rec.Release != nil {
		if found, err := h.effects.LookForRedirect(ctx, f.rec, f.rev, f.job); found || err != nil {
			return err
		}
	}
	if err := h.effects.PublishArrival(ctx, &f.rec); err != nil {
		return err
	}
	fresh, err := h.evaluator.NewRecord(ctx, ev, f.job, f.q)
	if err != nil {
		return err
	}
	before := f.rec.Decision
	f.rec = f.rec.DecidedAgain(fresh)
	if gone {
		f.rec.State = job.Seen
		f.rec.Came++
	}
	now, rev := &f.rec.Decision, uint64(0)
	if gone || reasons.Waits(before.Reason) || before.Input.Mode != now.Input.Mode {
		rev = f.rev
	}
	now.ID = decision.ArrivalAgainID(now.ID, now.Policy, rev)
	return h.storeDecision(ctx, d, f)
}

// holdStart is when the hold of a job begins. Graph's clock is used where this machine's is
// behind, or was ahead when the job was seen (it may have been corrected since). It is not
// used if it is wrong itself: the job was then created later than Graph says it is now.
func (h *Handler) holdStart(f *jobState) time.Time {
	seen, there := f.rec.Seen, h.clock.AtGraph()
	switch {
	case there.After(time.Now()):
		return seen.Add(time.Until(there))
	case seen.Sub(there) > clock.MaxSkew && !f.job.Created.IsZero() && !f.job.Created.After(there):
		return there
	}
	return seen
}

// confirmDecided ends the delivery of a task that is decided. An earlier delivery of the
// same message may have died after it stored the record and before it published the
// decision. This is possible if the message was stored before the record was made; the
// decision is then published again under the same id. The number of deliveries can't be
// used for this, because a server that is killed forgets it.
func (h *Handler) confirmDecided(ctx context.Context, d store.Delivery, ev trigger.Event, known index.Entry) error {
	h.ignore(ignoredDuplicate, ev)
	if d.Stored.After(known.Seen.Add(clock.StoreSkew)) {
		return nil
	}
	rec, rev, err := h.jobs.Get(ctx, known.Key)
	if err != nil || rev == 0 {
		return err
	}
	return h.effects.Publish(ctx, &rec)
}

func (h *Handler) ignore(reason string, ev trigger.Event) {
	h.metrics.ignored.WithLabelValues(reason).Inc()
	h.log.Debug("task ignored", zap.String("reason", reason), zap.String("task", ev.Task), zap.String("job", ev.Job))
}
