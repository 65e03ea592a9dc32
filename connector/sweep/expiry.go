package sweep

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/decision"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/notice"
	"pullprint/connector/printer"
	"pullprint/policy"
	"pullprint/policy/reasons"
)

// expired reports whether a held job's time has ended. It has not before Graph has told its
// time.
func (s *Sweeper) expired(state job.State, until time.Time) bool {
	return state == job.Held && !until.IsZero() && s.clock.Heard() && s.clock.Earlier().After(until)
}

// dueWarning reports whether it is time to warn the owner of a held job of the end of the hold.
func dueWarning(e index.Entry, q printer.Queue, now time.Time) bool {
	if q.PrinterID == "" { // it was taken out of the configuration
		q.HoldFor = e.HoldUntil.Sub(e.Seen)
	}
	return e.State == job.Held && e.Warned.IsZero() && !e.HoldUntil.IsZero() &&
		now.Before(e.HoldUntil) && !now.Before(e.HoldUntil.Add(-q.Warning()))
}

// warnOwner stores a notice to the owner about the end of the hold. It is stored before the record is
// changed, so that a crash in between repeats it under the same id instead of losing it.
func (s *Sweeper) warnOwner(ctx context.Context, rec job.Record, rev uint64) error {
	release, ok := s.effects.Claim(rec.Key())
	if !ok {
		return job.ErrBusy
	}
	defer release()
	err := notice.WriteHoldEnding(ctx, s.notices, decision.ExpiryID(rec.Task, rec.OnceAt(rev)), notice.Notice{
		At: time.Now(), Ref: rec.Ref, Queue: s.queues.NameOf(&rec), Owner: rec.Owner, Created: rec.Created, HoldUntil: rec.HoldUntil,
		Devices: s.devicesOf(s.queues.NameOf(&rec)),
	})
	if err != nil {
		return err
	}
	rec.Warned = time.Now()
	if _, ok, err = s.jobs.Put(ctx, &rec, rev); err != nil {
		return err
	}
	if !ok {
		return job.ErrBusy // released or canceled meanwhile
	}
	s.metrics.warnings.WithLabelValues(rec.Queue).Inc()
	s.log.Info("notice about the end of the hold stored", zap.String("job", rec.Job), zap.String("task", rec.Task),
		zap.String("queue", rec.Queue))
	return nil
}

// devicesOf names the devices that may release jobs of a queue.
func (s *Sweeper) devicesOf(queue string) []string {
	names := []string{}
	for _, d := range s.devices {
		if slices.Contains(d.Queues, queue) {
			names = append(names, d.ID)
		}
	}
	return names
}

// expire aborts a held job whose time has ended, with its own reason.
func (s *Sweeper) expire(ctx context.Context, rec job.Record, rev uint64) error {
	release, ok := s.effects.Claim(rec.Key())
	if !ok {
		return job.ErrBusy
	}
	defer release()
	own := s.evaluator.Own(reasons.HoldExpired, policy.Release, policy.Abort)
	d := s.effects.Decision(&rec, decision.ExpiryID(rec.Task, rec.OnceAt(rev)), own)
	d.Asked = decision.AskedBySweep
	s.log.Info("hold expires", zap.String("job", rec.Job), zap.String("task", rec.Task), zap.String("queue", rec.Queue))
	_, err := s.effects.Abort(ctx, rec, rev, d)
	return err
}
