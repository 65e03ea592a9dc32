package effect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/clock"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
)

// Who pays for a job, and when. Crash safety, in the order of the steps:
//
//  1. the intent to redirect or complete is stored, with the charge in it.
//  2. the charge is reserved, under the job's name and the intent's decision.
//     If the process dies before, the intent is resumed, and reserves before it
//     calls Graph. If it dies after, reserving again changes nothing.
//  3. Graph is called, and the outcome stored. The reservation stays open until
//     the sweep has seen how the job ended at its printer (sweep.Sweeper.endAtPrinters).
//  4. an effect that surely was not made gives the reservation back, after the
//     record says so. If the process dies between, the sweep gives it back. Giving
//     back names the try whose reservation is meant, so that it can't take that of a
//     newer one.
//  5. if Graph was called and the effect was not seen, the reservation stays until the
//     sweep has read the job once more. An effect that is found later is charged then,
//     even beyond the limit of the account.
//
// If a held job is paid for at arrival, the reservation is made before the record: after a
// crash the message is redelivered and makes the same reservation. A reservation without a
// record is given back when the job is over.

// What a reservation is for, as quota.Charge.For: it says what may have happened to a job
// whose record is gone.
const (
	ForHold     = "hold" // the job is only held; it has no record yet
	ForRedirect = "redirect"
	ForComplete = "complete"
)

// Reserve reserves what a job costs. The error wraps a *quota.Exhausted, and nothing is
// reserved, when an account does not cover it. A job that has printed is charged even so.
func (e *Executor) Reserve(ctx context.Context, rec *job.Record, printed bool) error {
	c := rec.Charge
	if c == nil || (rec.State == job.Aborting && !printed) {
		return nil
	}
	charge := chargeFor(rec)
	charge.Printed = printed
	if !printed && job.CoversMore(c) {
		// The try may come to nothing: nobody else is to take what it needs less meanwhile.
		charge.Amount = c.Before.Amount
	}
	err := e.ledger.Reserve(ctx, charge)
	var ex *quota.Exhausted
	if errors.As(err, &ex) && charge.Amount != c.Amount {
		charge.Amount = c.Amount
		err = e.ledger.Reserve(ctx, charge)
	}
	if err != nil {
		return fmt.Errorf("reserve what the job costs: %w", err)
	}
	return nil
}

// CanEnd is from when on a job can have ended, by the clock of any replica; zero when Graph
// does not tell when it was created.
func CanEnd(created time.Time) time.Time {
	if created.IsZero() {
		return created
	}
	return created.Add(-clock.MaxSkew)
}

// chargeFor is the charge of a record as the ledger takes it.
func chargeFor(rec *job.Record) quota.Charge {
	what := ForHold
	switch rec.State {
	case job.Completing:
		what = ForComplete
	case job.Releasing, job.Aborting:
		what = ForRedirect
	}
	c := rec.Charge
	return quota.Charge{
		Job: rec.Name(), Attempt: c.Attempt, Owner: rec.Owner, Amount: c.Amount, Claims: c.Claims, Now: time.Now(), For: what,
		Since: CanEnd(rec.Created),
	}
}

// renameCharge makes the reservation of a record one of a new try: what gives the former back,
// or takes its place, means an older one. rev is the record's revision.
func renameCharge(rec *job.Record, rev uint64) {
	if rec.Charge == nil {
		return
	}
	c := *rec.Charge
	c.Attempt = decision.AttemptID(rec.Decision.ID, rev)
	rec.Charge = &c
}

// chargePrinted makes sure that what was found to have printed is paid for, before
// the record says so: its reservation may have been given back, or never been made.
func (e *Executor) chargePrinted(ctx context.Context, rec *job.Record, ans result) error {
	var err error
	switch made := ans.outcome == job.Released; {
	case ans.late:
		rec.Release.Late = true
		err = e.decideFound(ctx, rec)
	case made && ans.readBack:
		err = e.correctTry(ctx, rec)
	case made && job.CoversMore(rec.Charge):
		// What was reserved at arrival is made smaller only now that less is printed.
	case !ans.readBack, ans.outcome != job.Completed:
		return nil
	}
	if err != nil {
		return err
	}
	if err := e.Reserve(ctx, rec, true); !errors.Is(err, quota.ErrEnded) {
		return err
	}
	return nil
}

// undoTry makes the charge of a job whose redirect was surely not made the one of before. It returns
// the charge of that try; nil when there is none, or the redirect may have been made.
func (e *Executor) undoTry(ctx context.Context, rec *job.Record, ans result) *job.Charge {
	tried := rec.Charge
	if ans.outcome != job.Held || !ans.notMade || tried == nil {
		return nil
	}
	if tried.Before != nil {
		rec.Charge = tried.Before // of an earlier try, which may have been made
		if tried.AtArrival {
			e.restoreArrival(ctx, rec, tried) // before the record is held: nobody else may try yet
		}
	}
	return tried
}

// restoreArrival makes what is reserved for a held job what was reserved at arrival, which is
// its charge again, after a try that was not made. Another instance may have taken the job over
// and reserved for a newer try: that one stays. When it fails, the sweep gives back what is
// reserved on other accounts.
func (e *Executor) restoreArrival(ctx context.Context, rec *job.Record, tried *job.Charge) {
	charge := chargeFor(rec)
	charge.Instead = tried.Attempt
	if err := e.ledger.Reserve(ctx, charge); err != nil {
		e.log.Warn("what was reserved at arrival is not restored", zap.String("job", rec.Job), zap.Error(err))
	}
	others := *tried
	others.Claims = slices.DeleteFunc(slices.Clone(tried.Claims), func(c quota.Claim) bool {
		return job.OneOfAccounts(rec.Charge.Accounts(), c.Account)
	})
	if len(others.Claims) > 0 {
		e.giveBack(ctx, rec, &others, tried.Attempt)
	}
}

// void gives back all that a job has reserved and did not print. When that fails, the
// sweep does it.
func (e *Executor) void(ctx context.Context, rec *job.Record) {
	if rec.Charge != nil {
		e.giveBack(ctx, rec, rec.Charge, "")
	}
}

// giveBack gives back what an attempt reserved on the accounts of a charge; an empty
// attempt is all of them.
func (e *Executor) giveBack(ctx context.Context, rec *job.Record, c *job.Charge, attempt string) {
	done, err := e.ledger.Void(ctx, rec.Name(), attempt, c.Accounts(), time.Now())
	if err != nil {
		e.log.Warn("reservation not given back, the sweep does it", zap.String("job", rec.Job), zap.Error(err))
		return
	}
	if done {
		e.CountSettled(Voided)
	}
}

// DecideExhausted replaces a decision to print by one that the account does not cover it:
// the budget was spent between the decision and the reservation.
func (e *Executor) DecideExhausted(rec *job.Record, ex *quota.Exhausted, v policy.Verdict) {
	own := e.policy().Exhausted(ex.Amount, ex.Balance)
	if ex.Full {
		own = policy.Own(reasons.QuotaFull)
	}
	d := &rec.Decision
	d.ID = decision.ExhaustedID(d.ID)
	d.Verdict, d.Reason, d.Rule, d.Text, d.Remedy, d.IPP = string(v), own.Reason, "", own.Text, own.Remedy, own.IPP
	d.Set, d.SetBy = nil, ""
}
