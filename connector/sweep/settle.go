package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/decision"
	"pullprint/connector/effect"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/connector/job/readback"
	"pullprint/connector/recovery"
	"pullprint/connector/store"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger/graph"
)

// The limits of ending reservations.
const (
	// settleAfter is how long after a job was let go on its reservation counts as spent when
	// nothing is heard of it: a printer that is off over a weekend may still print it.
	settleAfter = 72 * time.Hour
	// orphanAfter is from which age on a reservation without a record or an intent is looked
	// at. Younger than that, its record may be about to be stored: an instance acts on a job
	// for job.ActWithin at most.
	orphanAfter = time.Minute
	// runsOutAfter is from which age on a record that is missing may have expired: the least
	// that retention.jobs can be.
	runsOutAfter = 24 * time.Hour
	// maxSettles is how many reservations a sweep looks at, in turn. At settleAtOnce and a
	// second for each they take a minute, which is sweepEvery.
	maxSettles = 500
	// settleAtOnce is how many of them are read at the same time: as many as sweepActs.
	settleAtOnce = 8
)

// reservation is one of a job, on all accounts that pay for it. What an earlier try left on
// some of them has another attempt there.
type reservation struct {
	quota.Reservation
	accounts []quota.Account
	attempts map[quota.Account]string
}

// endAtPrinters ends what has ended at its printer: every open reservation, also after a crash, so that
// no reservation outlives its job, and the following of every job that was let go on. One call
// looks at up to maxSettles reservations and maxFollows jobs.
func (s *Sweeper) endAtPrinters(ctx context.Context) error {
	followed := s.index.Followed()
	open, err := s.reservations(ctx)
	if err != nil {
		return err
	}
	p := s.atPrinters(followed)
	now := s.clock.Earlier()
	acts := new(errgroup.Group)
	acts.SetLimit(settleAtOnce)
	begin := func(fn func() error, failed func(error)) {
		acts.Go(func() error {
			if err := recovery.Catch(fn); err != nil && !errors.Is(err, errListedLately) {
				failed(err)
			}
			return nil
		})
	}
	pays := make(map[string]bool, len(open))
	for _, r := range open {
		pays[r.Job] = true
	}
	for r := range inTurn(&s.lastEnded, open, maxSettles, func(r *reservation) string { return r.Job }) {
		if ctx.Err() != nil {
			break
		}
		begin(func() error { return s.endReservation(ctx, r, p, now) }, func(err error) {
			s.log.Warn("reservation left to the next sweep", zap.String("job", graph.RefOf(r.Job).Job), zap.Error(err))
		})
	}
	followed = slices.DeleteFunc(followed, func(f index.Followed) bool { return pays[f.Ref.Name()] })
	for f := range inTurn(&s.lastFollowed, followed, maxFollows, func(f index.Followed) string { return f.Key }) {
		if ctx.Err() != nil {
			break
		}
		begin(func() error { return s.follow(ctx, p, f) }, func(err error) {
			s.log.Warn("job not found at its printer, the next sweep looks again", zap.String("job", f.Ref.Job), zap.Error(err))
		})
	}
	return acts.Wait()
}

// reservations lists the open reservations by their jobs, and sets their gauges.
func (s *Sweeper) reservations(ctx context.Context) (open []*reservation, err error) {
	byJob := map[string]*reservation{}
	err = s.ledger.Open(ctx, func(a quota.Account, r quota.Reservation) error {
		known, ok := byJob[r.Job]
		if !ok {
			known = &reservation{Reservation: r, attempts: map[quota.Account]string{}}
			byJob[r.Job], open = known, append(open, known)
		}
		known.accounts = append(known.accounts, a)
		known.attempts[a] = r.Attempt
		return nil
	})
	if err := s.damaged(err); err != nil {
		return nil, fmt.Errorf("list reservations: %w", err)
	}
	now := s.clock.Earlier()
	oldest := now
	for _, r := range open {
		if r.At.Before(oldest) {
			oldest = r.At
		}
	}
	s.metrics.reserved.Set(float64(len(open)))
	s.metrics.oldest.Set(now.Sub(oldest).Seconds())
	return open, nil
}

// damaged counts and logs accounts that can't be read; any other error is returned. The other
// accounts were listed.
func (s *Sweeper) damaged(err error) error {
	var d *ledger.Damaged
	if !errors.As(err, &d) {
		return err
	}
	s.metrics.damaged.WithLabelValues(store.RecordAccount).Add(float64(len(d.Keys)))
	s.log.Error("accounts can't be read, their reservations stay open",
		zap.String("remedy", "restore the store from a backup, or stop the daemon and give them up by `pullprint accept-loss`"),
		zap.Strings("keys", d.Keys[:min(len(d.Keys), store.MaxNamed)]), zap.NamedError("first", d.Err))
	return nil
}

// endReservation ends a reservation if its job has ended, by what the record and the
// printer say.
func (s *Sweeper) endReservation(ctx context.Context, r *reservation, p *atPrinters, now time.Time) error {
	ref := graph.RefOf(r.Job)
	rec, rev, err := s.jobs.Get(ctx, job.Key(r.Owner, ref))
	if err != nil {
		return err
	}
	switch {
	case rev == 0:
		return s.endUnrecorded(ctx, r, p, ref, now)
	case rec.State.Intent():
		return nil // whoever resumes it knows
	case rec.State == job.Held:
		if r.young(now) {
			return nil
		}
		return s.endOfHeld(ctx, r, &rec, now)
	}
	late := rec.State == job.Gone && rec.Release != nil && rec.Release.Late
	if rec.State != job.Released && rec.State != job.Completed && !late {
		return s.void(ctx, r, now)
	}
	if err := s.voidOthers(ctx, r, rec.Charge, now); err != nil {
		return err
	}
	at, moved := rec.PrintsAt()
	saw, err := s.endAtPrinter(ctx, r, p, ending{at: at, moved: moved, since: rec.LetGoAt()})
	if err != nil || !rec.Followed() {
		return err
	}
	return s.endOnPaper(ctx, &rec, rev, saw)
}

// young reports whether a reservation was made just now. A reservation from the future was
// made with a wrong clock.
func (r *reservation) young(now time.Time) bool { return now.Sub(r.At).Abs() < orphanAfter }

// voidOthers gives back what is reserved on accounts that would have paid at arrival but do
// not pay for the job in the end.
func (s *Sweeper) voidOthers(ctx context.Context, r *reservation, c *job.Charge, now time.Time) error {
	if c == nil {
		return nil
	}
	pays := c.Accounts()
	var others []quota.Account
	r.accounts = slices.DeleteFunc(r.accounts, func(a quota.Account) bool {
		if job.OneOfAccounts(pays, a) {
			return false
		}
		others = append(others, a)
		return true
	})
	if len(others) == 0 {
		return nil
	}
	_, err := s.ledger.Void(ctx, r.Job, "", others, now)
	return s.ended(effect.Voided, err)
}

// endOfHeld gives back what a held job has reserved for a release that was not made. If Graph
// shows that it was made, the reservation stays: the record is about to be corrected.
func (s *Sweeper) endOfHeld(ctx context.Context, r *reservation, rec *job.Record, now time.Time) error {
	var others []quota.Account // what was reserved at arrival stays
	if c := rec.Charge; c != nil && c.AtArrival {
		pays := c.Accounts()
		if c.Before != nil {
			pays = append(pays, c.Before.Accounts()...)
		}
		others = slices.DeleteFunc(slices.Clone(r.accounts), func(a quota.Account) bool { return job.OneOfAccounts(pays, a) })
		if len(others) == 0 {
			return nil
		}
	}
	j, err := s.graph.Job(ctx, rec.Ref)
	switch {
	case graph.IsNotFound(err) && rec.Release != nil:
		return nil // the record is about to say what became of the job
	case err != nil && !graph.IsNotFound(err):
		return fmt.Errorf("read job: %w", err)
	case err == nil && rec.Release != nil:
		if j, err = s.effects.WithTask(ctx, rec, j); err != nil {
			return err
		}
		if readback.Outcome(rec, j) == job.Released {
			return nil
		}
	}
	if len(others) == 0 {
		return s.void(ctx, r, now)
	}
	for _, a := range others { // of the try that was seen there: a newer one is not meant
		done, err := s.ledger.Void(ctx, r.Job, r.attempts[a], []quota.Account{a}, now)
		if err == nil && !done {
			continue
		}
		if err := s.ended(effect.Voided, err); err != nil {
			return err
		}
	}
	return nil
}

// endAtPrinter ends a reservation by what became of the job at its printer, which it returns.
func (s *Sweeper) endAtPrinter(ctx context.Context, r *reservation, p *atPrinters, e ending) (seen, error) {
	saw, err := s.look(ctx, p, e)
	now := s.clock.Earlier() // after the answers: the first may have told that this clock is wrong
	late := s.clock.Heard() && now.Sub(r.At).Abs() > settleAfter
	refunds := s.policy().Refunds()
	switch {
	case err != nil && !late:
		return seen{}, err
	case saw.early:
		return saw, nil
	case saw.state == paper.Failed:
		how := quota.Refund{Permille: refunds.Aborted, PerDay: refunds.PerDay, Why: "aborted by the printer"}
		saw.refunded, err = s.refund(ctx, r, how, now)
	case saw.state == paper.Canceled:
		how := quota.Refund{Permille: refunds.Canceled, PerDay: refunds.PerDay, Why: "canceled at the printer"}
		_, err = s.refund(ctx, r, how, now)
	case saw.state != "", late: // what may have printed is spent
		err = s.spend(ctx, r, now)
	}
	return saw, err
}

// endUnrecorded ends the reservation of a job without a record: the record is about to be
// made, was never made, or has expired. A job is released only after its record is stored,
// so that a job that may have printed had a record; its reservation is spent.
func (s *Sweeper) endUnrecorded(ctx context.Context, r *reservation, p *atPrinters, ref graph.Ref, now time.Time) error {
	if r.young(now) {
		return nil
	}
	what := r.what(now)
	if what == effect.ForComplete {
		_, err := s.endAtPrinter(ctx, r, p, ending{at: ref, since: r.At})
		return err
	}
	j, err := s.graph.Job(ctx, ref)
	now = s.clock.Earlier() // after the answer: it may have told that this clock is wrong
	late := s.clock.Heard() && now.Sub(r.At).Abs() > settleAfter
	switch {
	case err != nil && !graph.IsNotFound(err):
		return fmt.Errorf("read job: %w", err)
	case err == nil && j.RedirectedTo != "":
		_, err := s.endAtPrinter(ctx, r, p, ending{at: ref, since: r.At})
		return err
	case err != nil && s.clock.Since(r.At) < effect.ForgottenAfter:
		return nil
	case err == nil && readback.JobWaits(j.State) && !late:
		return nil
	case what == effect.ForRedirect && (err != nil || j.State == graph.JobCompleted || slices.ContainsFunc(j.Tasks, madeByUs)):
		return s.spend(ctx, r, now)
	}
	return s.void(ctx, r, now)
}

// madeByUs reports whether a task shows that its job was let go on: only we can finish it.
func madeByUs(t graph.Task) bool { return t.State == graph.TaskCompleted }

// what is what a reservation is for. A version that did not say named the tries to
// redirect; and let a job go on, or held it, by the decision at arrival.
func (r *reservation) what(now time.Time) string {
	switch {
	case r.For != "":
		return r.For
	case decision.IsRelease(r.Attempt):
		return effect.ForRedirect
	case now.Sub(r.At).Abs() > runsOutAfter:
		return effect.ForComplete
	}
	return effect.ForHold
}

func (s *Sweeper) spend(ctx context.Context, r *reservation, now time.Time) error {
	_, err := s.ledger.Settle(ctx, r.Job, r.accounts, now)
	return s.ended(effect.Spent, err)
}

// refund tells how much was given back; nil when another ended the reservation.
func (s *Sweeper) refund(ctx context.Context, r *reservation, how quota.Refund, now time.Time) (*quota.Amount, error) {
	back, err := s.ledger.Refund(ctx, r.Job, r.accounts, how, now)
	if err := s.ended(effect.Refunded, err); err != nil || errors.Is(err, quota.ErrEnded) {
		return nil, err
	}
	return &back, nil
}

func (s *Sweeper) void(ctx context.Context, r *reservation, now time.Time) error {
	done, err := s.ledger.Void(ctx, r.Job, r.Attempt, r.accounts, now)
	if err == nil && !done {
		return nil // a newer try has it
	}
	return s.ended(effect.Voided, err)
}

func (s *Sweeper) ended(how string, err error) error {
	if errors.Is(err, quota.ErrEnded) {
		return nil // another was faster
	}
	if err != nil {
		return fmt.Errorf("end reservation: %w", err)
	}
	s.effects.CountSettled(how)
	return nil
}
