package connector

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/held"
	"pullprint/connector/store"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
	"pullprint/trigger"
	"pullprint/trigger/graph"
)

// arrive takes a verified event to a stored decision. The crash story, in the
// order of the steps; the message is acknowledged after all of them:
//
//  1. the job is read; nothing is stored: dying here, the message comes again.
//  2. hold: the record is created, then the decision is published. Dying
//     between, the message comes again, finds the record and publishes the
//     same decision under the same id: see confirmDecided.
//  3. complete, abort: the record is created as an intent, with the decision
//     in it. Dying after, the message (or the sweep) finds the intent and
//     reads the job back before anything else. See carryOut.
func (w *Worker) arrive(ctx context.Context, d store.Delivery, ev trigger.Event) (err error) {
	ref, err := w.jobOf(ctx, ev)
	if err != nil || ref == (held.Ref{}) {
		return err
	}
	q, ok := w.queues.at(ref.Printer)
	if !ok {
		w.ignore(ignoredQueue, ev)
		return nil
	}
	known, ok := w.index.Lookup(ref)
	if ok && sameTask(known.Task, ev.Task) && !known.State.Intent() && known.State != held.Gone && !w.evaluator.needsDecision(known, q) {
		return w.confirmDecided(ctx, d, ev, known)
	}
	if w.inflight.risky(d.Attempt, d.Stored) {
		noted, end, busy := w.inflight.begin(ctx, ref)
		if busy != nil {
			return busy
		}
		ctx = noted
		defer func() { end(err == nil) }()
	}
	job, err := w.effects.readJob(ctx, ref)
	if graph.IsNotFound(err) {
		over, err := w.unknownJob(ctx, ev)
		switch {
		case err != nil:
			return err
		case !over && known.State != held.Gone:
			return errUnknownJob
		}
		w.ignore(ignoredFinished, ev)
		return w.effects.finishIfEnded(ctx, d.Stored, known.Key, "graph does not know the job")
	}
	if err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	ours, err := w.taskOf(ctx, d, ev, job)
	if err != nil || !ours {
		return err
	}
	return w.decideArrival(ctx, d, ev, jobState{job: job, q: q}, ok)
}

// decideArrival takes a job from its record, if there is one, to a stored decision. known
// says that there may be one. After a concurrent update it reads again, up to maxConflicts
// times.
func (w *Worker) decideArrival(ctx context.Context, d store.Delivery, ev trigger.Event, f jobState, known bool) (err error) {
	key := held.Key(f.job.CreatedBy.ID, held.Ref(f.job.Ref))
	for range maxConflicts {
		at := f
		if known {
			if at.rec, at.rev, err = w.jobs.Get(ctx, key); err != nil {
				return err
			}
		}
		if at.rev != 0 {
			err = w.handleExisting(ctx, d, ev, at)
		} else if at.rec, err = w.evaluator.newRecord(ctx, ev, f.job, f.q); err == nil {
			key = at.rec.Key()
			err = w.storeDecision(ctx, d, at)
		}
		if !errors.Is(err, errOutrun) {
			return err
		}
		known = true
	}
	return err
}

// jobState is a job as Graph has it and its record as the store has it, or as it
// is about to be created (revision 0).
type jobState struct {
	rec held.Record
	rev uint64
	job graph.Job
	q   Queue
}

// jobOf is the job of an event. If the notification has no parentUrl, the task is read for
// it; a task that Graph does not know has no job.
func (w *Worker) jobOf(ctx context.Context, ev trigger.Event) (held.Ref, error) {
	if ev.Job != "" {
		return held.Ref{Printer: ev.Printer, Job: ev.Job}, nil
	}
	task, err := w.graph.Task(ctx, ev.Definition, ev.Task)
	if graph.IsNotFound(err) {
		w.ignore(ignoredForeign, ev)
		return held.Ref{}, nil
	}
	if err != nil {
		return held.Ref{}, fmt.Errorf("read task: %w", err)
	}
	if task.Job == (graph.Ref{}) {
		w.ignore(ignoredForeign, ev)
	}
	return held.Ref(task.Job), nil
}

// taskOf reports whether the event's task belongs to the job and waits for us.
// A forged event that names another's job ends here, after one read.
func (w *Worker) taskOf(ctx context.Context, d store.Delivery, ev trigger.Event, job graph.Job) (bool, error) {
	state, ok := graph.TaskState(""), false
	for _, t := range job.Tasks {
		if sameTask(t.ID, ev.Task) {
			state, ok = t.State, true
		}
	}
	if !ok {
		t, err := w.graph.Task(ctx, ev.Definition, ev.Task)
		if graph.IsNotFound(err) || (err == nil && t.Job != job.Ref) {
			w.ignore(ignoredForeign, ev)
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read task: %w", err)
		}
		state = t.State
	}
	if finished(state) {
		w.ignore(ignoredFinished, ev)
		return false, w.effects.finishIfEnded(ctx, d.Stored, held.Key(job.CreatedBy.ID, held.Ref(job.Ref)), "graph says the job is over")
	}
	return true, nil
}

// storeDecision stores the first state after the decision and goes on from there.
// The error is errOutrun after a concurrent update.
func (w *Worker) storeDecision(ctx context.Context, d store.Delivery, f jobState) error {
	release, ok := w.effects.claim(f.rec.Key())
	if !ok {
		return errBusy
	}
	defer release()
	state := held.Held
	switch policy.Verdict(f.rec.Decision.Verdict) {
	case policy.Abort:
		state = held.Aborting
	case policy.Complete:
		state = held.Completing
	}
	if state == held.Held && f.rec.Charge != nil {
		if err := w.effects.unchanged(ctx, &f.rec, f.rev); err != nil {
			return err
		}
		var ex *quota.Exhausted
		if err := w.effects.reserve(ctx, &f.rec, false); errors.Is(err, quota.ErrFull) {
			// There is room again when others have printed: it is reserved for when it is released.
			w.log.Warn("account has too many open reservations, job is held unpaid", zap.String("job", f.rec.Job),
				zap.String("task", f.rec.Task))
			f.rec.Charge = nil
		} else if errors.As(err, &ex) {
			w.effects.decideExhausted(&f.rec, ex, policy.Abort)
			f.rec.Charge, state = nil, held.Aborting
		} else if err != nil {
			return err
		}
	}
	before := f.rec.State
	if before != state { // a held job that is held again keeps its place
		if err := f.rec.Move(state, time.Now(), w.instance, ""); err != nil {
			return err
		}
	}
	if state == held.Held {
		f.rec.HoldUntil = w.holdStart(&f).Add(f.q.HoldFor)
		f.rec.Set = f.rec.Decision.Set
	}
	rev, ok, err := w.jobs.Put(ctx, &f.rec, f.rev)
	if err != nil {
		return err
	}
	if !ok {
		return errOutrun
	}
	w.effects.holdEnded(before, &f.rec)
	if state != held.Held {
		_, err := w.effects.carryOut(ctx, f.rec, rev, effectOptions{startedAt: d.Stored, redelivered: true, settings: f.job.Settings})
		return err
	}
	err = w.effects.publish(ctx, &f.rec)
	w.effects.report(&f.rec, d.Stored) // also before the audit has it: whoever stored it tells of it
	return err
}

// handleExisting continues with a job that has a record: the message is a duplicate or a
// redelivery, or another instance has handled the job.
func (w *Worker) handleExisting(ctx context.Context, d store.Delivery, ev trigger.Event, f jobState) error {
	known := Entry{
		Task: f.rec.Task, State: f.rec.State, Reason: f.rec.Decision.Reason, Policy: f.rec.Decision.Policy, Mode: f.rec.Decision.Input.Mode,
	}
	switch {
	case anotherJob(&f.rec, f.job):
		return w.endFormer(ctx, d, ev, f)
	case f.rec.State.Intent():
		return w.effects.resume(ctx, f.rec, f.rev, d.Stored)
	case f.rec.State == held.Gone && !revivable(&f.rec, f.job):
		w.ignore(ignoredFinished, ev)
		w.effects.closeTask(ctx, ev.Definition, ev.Task, f.job)
		return nil
	case f.rec.State.Final() && f.rec.State != held.Gone && !sameTask(f.rec.Task, ev.Task):
		return errConflict
	case f.rec.State == held.Gone, w.evaluator.needsDecision(known, f.q):
		if f.rec.State == held.Held && f.rec.Release != nil {
			if found, err := w.effects.lookForRedirect(ctx, f.rec, f.rev, f.job); found || err != nil {
				return err
			}
		}
		if err := w.effects.publishArrival(ctx, &f.rec); err != nil {
			return err
		}
		fresh, err := w.evaluator.newRecord(ctx, ev, f.job, f.q)
		if err != nil {
			return err
		}
		fresh.State, fresh.Seen, fresh.Trail, fresh.Release = f.rec.State, f.rec.Seen, f.rec.Trail, f.rec.Release
		fresh.Came, fresh.Tries = f.rec.Came, f.rec.Tries
		if fresh.Release != nil && fresh.Charge == nil {
			fresh.Charge = f.rec.Charge // of that try, which may have been made
		}
		fresh.Decision.ID += ":" + fresh.Decision.Policy
		if f.rec.State == held.Gone {
			fresh.State, fresh.Came = held.Seen, f.rec.Came+1
		}
		if f.rec.State == held.Gone || reasons.Waits(known.Reason) || known.Mode != fresh.Decision.Input.Mode {
			fresh.Decision.ID += ":" + strconv.FormatUint(f.rev, 10)
		}
		f.rec = fresh
		return w.storeDecision(ctx, d, f)
	}
	return w.confirmDecided(ctx, d, ev, Entry{Key: f.rec.Key(), Seen: f.rec.Seen})
}

// holdStart is when the hold of a job begins. Graph's clock is used where this machine's is
// behind, or was ahead when the job was seen (it may have been corrected since). It is not
// used if it is wrong itself: the job was then created later than Graph says it is now.
func (w *Worker) holdStart(f *jobState) time.Time {
	seen, there := f.rec.Seen, w.clock.graphTime()
	switch {
	case there.After(time.Now()):
		return seen.Add(time.Until(there))
	case seen.Sub(there) > maxSkew && !f.job.Created.IsZero() && !f.job.Created.After(there):
		return there
	}
	return seen
}

// confirmDecided ends the delivery of a task that is decided. An earlier delivery of the
// same message may have died after it stored the record and before it published the
// decision. This is possible if the message was stored before the record was made; the
// decision is then published again under the same id. The number of deliveries can't be
// used for this, because a server that is killed forgets it.
func (w *Worker) confirmDecided(ctx context.Context, d store.Delivery, ev trigger.Event, known Entry) error {
	w.ignore(ignoredDuplicate, ev)
	if d.Stored.After(known.Seen.Add(StoreSkew)) {
		return nil
	}
	rec, rev, err := w.jobs.Get(ctx, known.Key)
	if err != nil || rev == 0 {
		return err
	}
	return w.effects.publish(ctx, &rec)
}

func (w *Worker) ignore(reason string, ev trigger.Event) {
	w.metrics.ignored.WithLabelValues(reason).Inc()
	w.log.Debug("task ignored", zap.String("reason", reason), zap.String("task", ev.Task), zap.String("job", ev.Job))
}
