package effect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/job/readback"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// Resume goes on with an intent whose outcome nobody stored: this process's
// own earlier try, or that of an instance taken for dead. heard is when the
// notification behind it was stored, zero when there is none.
func (e *Executor) Resume(ctx context.Context, rec job.Record, rev uint64, heard time.Time) error {
	unclaim, ok := e.Claim(rec.Key())
	if !ok {
		return job.ErrBusy
	}
	defer unclaim()
	if err := e.Unchanged(ctx, &rec, rev); err != nil {
		return err
	}
	if rec.Intent == nil { // what is stored lies: nobody is known to act on it
		rec.Intent = new(job.Intent)
	}
	age := e.clock.Since(rec.Intent.Since)
	mine := rec.Intent.By == e.instance
	if !mine && !e.sole && age < job.TakeOver {
		return job.ErrBusy
	}
	if !mine || age > job.ActWithin {
		var err error
		if rev, err = e.takeOver(ctx, &rec, rev); err != nil {
			return err
		}
	}
	_, err := e.CarryOut(ctx, rec, rev, Cause{StartedAt: heard, Redelivered: !heard.IsZero(), verifyFirst: true})
	return err
}

// takeOver makes this instance the one that acts on a stored intent.
func (e *Executor) takeOver(ctx context.Context, rec *job.Record, rev uint64) (newRev uint64, err error) {
	rec.TakeOver(time.Now(), e.instance)
	renameCharge(rec, rev)
	newRev, ok, err := e.jobs.Put(ctx, rec, rev)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, job.ErrBusy
	}
	e.log.Info("intent taken over", zap.String("job", rec.Job), zap.String("task", rec.Task), zap.String("state", string(rec.State)),
		zap.Int("attempt", rec.Intent.Takers))
	return newRev, nil
}

// Unchanged looks whether a record is still at a revision, once its job is claimed: the claim
// of before may have ended between the reading of the record and the claim. The error is
// job.ErrOutrun when it is not, or that of the store. What is done before the next
// compare-and-set of the record depends on it.
func (e *Executor) Unchanged(ctx context.Context, rec *job.Record, rev uint64) error {
	_, now, err := e.jobs.Get(ctx, rec.Key())
	if err == nil && now != rev {
		err = job.ErrOutrun
	}
	return err
}

// FinishIfEnded handles the record under key, if there is one, of a job that has ended at
// Graph: an intent is resumed, a held job is marked as gone, and for a final record the
// decision is published again, because an earlier delivery may have died before it did.
func (e *Executor) FinishIfEnded(ctx context.Context, heard time.Time, key, why string) error {
	if key == "" {
		return nil
	}
	rec, rev, err := e.jobs.Get(ctx, key)
	switch {
	case err != nil || rev == 0:
		return err
	case rec.State.Intent():
		return e.Resume(ctx, rec, rev, heard)
	case !rec.State.Final():
		return e.ClaimAndMarkGone(ctx, rec, rev, why)
	}
	return e.Publish(ctx, &rec)
}

// ClaimAndMarkGone is MarkGone of a job that nobody has claimed. The error is job.ErrBusy while
// somebody has.
func (e *Executor) ClaimAndMarkGone(ctx context.Context, rec job.Record, rev uint64, why string) error {
	unclaim, ok := e.Claim(rec.Key())
	if !ok {
		return job.ErrBusy
	}
	defer unclaim()
	_, err := e.MarkGone(ctx, rec, rev, why)
	return err
}

// MarkGone ends the record of a job that seems to have ended without us. If a release was
// tried before, the job may have been redirected and forgotten since; this is checked first.
// The caller has claimed the job.
func (e *Executor) MarkGone(ctx context.Context, rec job.Record, rev uint64, why string) (job.Record, error) {
	if rec.State != job.Held || rec.Release == nil {
		return e.storeGone(ctx, rec, rev, why)
	}
	job, err := e.jobOf(ctx, &rec)
	if err == nil {
		return e.FinishEnded(ctx, rec, rev, job)
	}
	if !graph.IsNotFound(err) {
		return rec, fmt.Errorf("read job: %w", err)
	}
	return e.markForgotten(ctx, rec, rev, why)
}

// markForgotten is MarkGone of a job that Graph does not know, and that was tried to be released.
func (e *Executor) markForgotten(ctx context.Context, rec job.Record, rev uint64, why string) (job.Record, error) {
	task, known, err := e.task(ctx, &rec)
	if err != nil {
		return rec, err
	}
	if known && task.State != graph.TaskCompleted {
		return e.storeGone(ctx, rec, rev, why)
	}
	there, err := e.atDestination(ctx, &rec) // and which of its tries it was
	if err != nil {
		return rec, err
	}
	if known || there {
		return e.finishLateRedirect(ctx, rec, rev)
	}
	return e.storeGone(ctx, rec, rev, why)
}

// storeGone ends the record of a job that we surely did not let print.
func (e *Executor) storeGone(ctx context.Context, rec job.Record, rev uint64, why string) (job.Record, error) {
	before := rec
	if err := rec.Move(job.Gone, time.Now(), e.instance, why); err != nil {
		return before, err
	}
	_, ok, err := e.jobs.Put(ctx, &rec, rev)
	if err != nil {
		return before, err
	}
	if !ok {
		return before, job.ErrBusy
	}
	e.HoldEnded(before.State, &rec)
	e.void(ctx, &rec)
	e.reportGone(&rec, why)
	return rec, nil
}

// FinishEnded ends the record of a held job that Graph says is over. Its caller has
// claimed it.
func (e *Executor) FinishEnded(ctx context.Context, rec job.Record, rev uint64, j graph.Job) (job.Record, error) {
	if rec.Release != nil {
		var err error
		if j, err = e.WithTask(ctx, &rec, j); err != nil {
			return rec, err
		}
	}
	if readback.Outcome(&rec, j) == job.Released {
		if rec.Release.Job == "" {
			if _, err := e.atDestination(ctx, &rec); err != nil { // which of its tries it was
				return rec, err
			}
		}
		return e.finishLateRedirect(ctx, rec, rev)
	}
	return e.storeGone(ctx, rec, rev, "graph says the job is over")
}

// finishLateRedirect ends the record of a held job that was redirected after all, when its
// redirect was taken for not made: it is released, and paid for. The record says
// so in the same steps as if it were released now.
func (e *Executor) finishLateRedirect(ctx context.Context, rec job.Record, rev uint64) (job.Record, error) {
	if err := e.PublishArrival(ctx, &rec); err != nil {
		return rec, err
	}
	if err := e.decideLateRedirect(ctx, &rec, rev); err != nil {
		return rec, err
	}
	rev, err := e.storeIntent(ctx, &rec, rev, job.Releasing, "found redirected")
	if err != nil {
		return rec, err
	}
	return e.CarryOut(ctx, rec, rev, Cause{verifyFirst: true})
}

// UndoPresumed corrects the record of a job whose effect was presumed because Graph had not
// known the job for long, when Graph now shows the job and its task as waiting. The cost is
// given back first and the record is stored after that; a crash in between repeats both,
// and the cost is given back once. The record can be revived, as its task is listed.
// presumed is false when the effect was seen, or the record is not in that state any more.
func (e *Executor) UndoPresumed(ctx context.Context, key string, state job.State) (presumed bool, err error) {
	unclaim, ok := e.Claim(key)
	if !ok {
		return false, job.ErrBusy
	}
	defer unclaim()
	rec, rev, err := e.jobs.Get(ctx, key)
	if a := rec.Decision.Answer; err != nil || rec.State != state || a == nil || !a.Presumed {
		return false, err
	}
	j, err := e.ReadJob(ctx, rec.Ref)
	if graph.IsNotFound(err) || err == nil && !readback.StillWaits(&rec, j) {
		return true, nil
	}
	if err != nil {
		return true, fmt.Errorf("read job: %w", err)
	}
	if err := e.reopen(ctx, &rec); err != nil {
		return true, err
	}
	const why = "graph shows it waiting after all"
	before := rec.State
	rec.Disprove(time.Now(), e.instance, why)
	_, ok, err = e.jobs.Put(ctx, &rec, rev)
	if err != nil || !ok {
		return true, errors.Join(job.ErrBusy, err)
	}
	e.HoldEnded(before, &rec)
	e.reportGone(&rec, why)
	return true, nil
}

// reopen gives back all that was spent and reserved for a job that did not print.
func (e *Executor) reopen(ctx context.Context, rec *job.Record) error {
	c := rec.Charge
	if c == nil {
		return nil
	}
	back := quota.Charge{Job: rec.Name(), Owner: rec.Owner, Amount: c.Amount, Now: time.Now()}
	if err := e.ledger.Reopen(ctx, c.Accounts(), back); err != nil {
		return fmt.Errorf("give back what did not print: %w", err)
	}
	e.void(ctx, rec) // what was not spent yet
	return nil
}

// decideFound is decideLateRedirect for an intent, of which Graph has answered what became of it.
func (e *Executor) decideFound(ctx context.Context, rec *job.Record) error {
	answer := rec.Decision.Answer
	err := e.decideLateRedirect(ctx, rec, uint64(len(rec.Trail)))
	rec.Decision.Answer = answer
	return err
}

// decideLateRedirect makes the decision of a record the one that a redirect was found by.
// It names the reservation anew.
func (e *Executor) decideLateRedirect(ctx context.Context, rec *job.Record, rev uint64) error {
	try, known, err := e.madeBy(ctx, rec)
	if err != nil {
		return err
	}
	own := policy.Decision{Point: policy.Release, Verdict: policy.Redirect, PolicyHash: e.policy().Hash()}
	rec.Decision = e.Decision(rec, decision.LateID(rec.Task, rec.OnceAt(rev)), own)
	rec.Decision.Device = rec.Release.Device
	for _, d := range e.devices { // an earlier try may have been at another one
		if graph.Canonical(d.PrinterID) == graph.Canonical(rec.Release.Printer) {
			rec.Decision.Device = d.ID
		}
	}
	if known {
		r := *rec.Release
		r.Device, r.At = try.Device, try.At
		rec.Release, rec.Charge = &r, job.Recharged(rec.Charge, try.Charge) // Graph may contradict itself
		d := &rec.Decision
		d.Device, d.Actor, d.Asked, d.Set = try.Device, try.Actor, try.Asked, try.Set
	}
	if rec.Charge == nil {
		return nil
	}
	renameCharge(rec, rev)
	rec.Charge.TellIn(&rec.Decision)
	return nil
}

func (e *Executor) reportGone(rec *job.Record, why string) {
	e.metrics.gone.WithLabelValues(rec.Queue).Inc()
	e.log.Info("job gone", zap.String("job", rec.Job), zap.String("task", rec.Task), zap.String("queue", rec.Queue), zap.String("why", why))
}
