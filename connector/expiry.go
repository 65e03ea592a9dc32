package connector

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/held"
	"pullprint/policy"
	"pullprint/policy/reasons"
)

// expired reports whether a held job's time has ended. It has not before Graph has told its
// time.
func (s *Sweeper) expired(state held.State, until time.Time) bool {
	return state == held.Held && !until.IsZero() && s.clock.heard() && s.clock.surely().After(until)
}

// dueWarning reports whether it is time to warn the owner of a held job of the end of the hold.
func dueWarning(e Entry, q Queue, now time.Time) bool {
	if q.PrinterID == "" { // it was taken out of the configuration
		q.HoldFor = e.HoldUntil.Sub(e.Seen)
	}
	return e.State == held.Held && e.Warned.IsZero() && !e.HoldUntil.IsZero() &&
		now.Before(e.HoldUntil) && !now.Before(e.HoldUntil.Add(-q.warning()))
}

// warnOwner publishes a notice to the owner about the end of the hold. It is published before
// the record is changed, so that a crash in between repeats it under the same id instead of
// losing it. If nobody listens, the error is store.ErrUnheard and the record is unchanged.
func (s *Sweeper) warnOwner(ctx context.Context, rec held.Record, rev uint64) error {
	release, ok := s.effects.claim(rec.Key())
	if !ok {
		return errBusy
	}
	defer release()
	body, err := json.Marshal(Notice{
		Kind: "expiry", Ref: rec.Ref, Queue: s.queues.nameOf(&rec), Owner: rec.Owner, Created: rec.Created, HoldUntil: rec.HoldUntil,
		Devices: s.devicesOf(s.queues.nameOf(&rec)),
	})
	if err != nil {
		return fmt.Errorf("encode notice: %w", err)
	}
	if err := s.notices.Notify(ctx, rec.Task+":"+again(&rec, rev, "expiry"), body); err != nil {
		return err
	}
	rec.Warned = time.Now()
	if _, ok, err = s.jobs.Put(ctx, &rec, rev); err != nil {
		return err
	}
	if !ok {
		return errBusy // released or canceled meanwhile
	}
	s.metrics.warnings.WithLabelValues(rec.Queue).Inc()
	s.log.Info("owner warned of the end of the hold", zap.String("job", rec.Job), zap.String("task", rec.Task), zap.String("queue", rec.Queue))
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
func (s *Sweeper) expire(ctx context.Context, rec held.Record, rev uint64) error {
	release, ok := s.effects.claim(rec.Key())
	if !ok {
		return errBusy
	}
	defer release()
	own := s.evaluator.ownDecision(reasons.HoldExpired, policy.Release, policy.Abort)
	d := s.effects.decisionOn(&rec, again(&rec, rev, "expiry"), own)
	d.Asked = held.AskedBySweep
	s.log.Info("hold expires", zap.String("job", rec.Job), zap.String("task", rec.Task), zap.String("queue", rec.Queue))
	_, err := s.effects.abort(ctx, rec, rev, d)
	return err
}
