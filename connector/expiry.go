package connector

import (
	"context"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/held"
	"pullprint/policy"
)

// expired reports whether a held job's time has ended.
func expired(state held.State, until, now time.Time) bool {
	return state == held.Held && !until.IsZero() && now.After(until)
}

// expire aborts a held job whose time has ended, with its own reason. The
// intent carries a decision of its own; the crash story is that of carryOut.
func (w *Worker) expire(ctx context.Context, rec held.Record, rev uint64) error {
	release, ok := w.claim(rec.Key())
	if !ok {
		return errBusy
	}
	defer release()
	now := time.Now()
	own := policy.Own(policy.ReasonHoldExpired)
	rec.Decision = held.Decision{
		ID: rec.Task + ":expiry", At: now, Point: string(policy.Release), Verdict: string(policy.Abort),
		Reason: own.Reason, Text: own.Text, Remedy: own.Remedy, Policy: w.Policy().Hash(), By: w.Instance, Input: rec.Decision.Input,
	}
	if err := rec.Move(held.Aborting, now, w.Instance, own.Reason); err != nil {
		return err
	}
	rev, ok, err := w.Jobs.Put(ctx, &rec, rev)
	if err != nil {
		return err
	}
	if !ok {
		return errBusy
	}
	w.log.Info("hold expired", zap.String("job", rec.Job), zap.String("task", rec.Task), zap.String("queue", rec.Queue))
	return w.carryOut(ctx, rec, rev, act{})
}
