package arrival

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"pullprint/connector/effect"
	"pullprint/connector/job"
	"pullprint/connector/store"
	"pullprint/trigger"
)

// endFormer ends the record of a job whose number another job has now, and decides that one as
// any that comes. What the former job reserved is spent if it was let go on. Crash safety: the
// former job ends first and its record is replaced last. If the process dies between, the
// message comes again and finds a record that has ended.
func (h *Handler) endFormer(ctx context.Context, d store.Delivery, ev trigger.Event, f jobState) error {
	rec, ended := &f.rec, effect.CanEnd(f.job.Created).Add(-1) // before this one can have
	var err error
	switch late := rec.Release != nil && rec.Release.Late; {
	case rec.State.Intent():
		if err = h.effects.Resume(ctx, *rec, f.rev, d.Stored); err != nil {
			return fmt.Errorf("%w: the job that had the number before has not ended: %w", job.ErrBusy, err)
		}
		return job.ErrOutrun // its record has another revision now
	case !rec.State.Final():
		return errors.Join(h.effects.ClaimAndMarkGone(ctx, *rec, f.rev, "its number is another job's"), job.ErrOutrun)
	case rec.Charge == nil:
	case rec.State == job.Released, rec.State == job.Completed, late:
		_, err = h.ledger.Settle(ctx, rec.Name(), rec.Charge.Accounts(), ended)
	default:
		_, err = h.ledger.Void(ctx, rec.Name(), "", rec.Charge.Accounts(), ended)
	}
	if err != nil {
		return fmt.Errorf("end the reservation of a job whose number another has now: %w", err)
	}
	if err := h.effects.Publish(ctx, rec); err != nil {
		return err
	}
	h.log.Warn("job number reused", zap.String("job", rec.Job), zap.String("task", rec.Task),
		zap.String("state", string(rec.State)))
	if f.rec, err = h.evaluator.NewRecord(ctx, ev, f.job, f.q); err != nil {
		return err
	}
	return h.storeDecision(ctx, d, f)
}
