package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/job"
	"pullprint/connector/job/readback"
	"pullprint/connector/store"
	"pullprint/trigger/graph"
)

// task handles one waiting task.
func (s *Sweeper) task(ctx context.Context, definition string, t graph.Task, b backlog) error {
	q, ok := s.queues.At(t.Job.Printer)
	if !ok {
		return nil // another's queue, or one taken out of the configuration
	}
	e, known := s.index.Lookup(t.Job)
	switch {
	case !known, e.State == job.Gone, s.evaluator.NeedsDecision(e, q):
		return s.feedTask(ctx, definition, t, b)
	case !readback.SameTask(e.Task, t.ID) && !e.State.Intent():
		return s.feedTask(ctx, definition, t, b) // the number may be another job's by now
	case e.State.Final():
		presumed, err := s.effects.UndoPresumed(ctx, e.Key, e.State)
		if err != nil && !errors.Is(err, job.ErrBusy) {
			s.log.Warn("job left to the next sweep", zap.String("job", t.Job.Job), zap.String("task", t.ID), zap.Error(err))
		}
		if presumed || err != nil {
			return nil
		}
		s.effects.FinishTaskOf(ctx, definition, t.ID, e.State)
	}
	return nil
}

// record handles the record at a key, if it is not final. A failure is left to the next sweep.
func (s *Sweeper) record(ctx context.Context, key string, warn bool) error {
	rec, rev, err := s.jobs.Get(ctx, key)
	if errors.Is(err, job.ErrDamaged) {
		s.metrics.damaged.WithLabelValues(store.RecordJob).Inc()
		s.log.Error("job record can't be read, its job is left alone", zap.String("key", key), zap.Error(err))
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case rev == 0, rec.State.Final():
		return nil
	case rec.State.Intent():
		err = s.effects.Resume(ctx, rec, rev, time.Time{})
	case s.expired(rec.State, rec.HoldUntil):
		err = s.expire(ctx, rec, rev)
	case warn && rec.Warned.IsZero():
		err = s.warnOwner(ctx, rec, rev)
	default:
		err = s.over(ctx, rec, rev)
	}
	if err != nil && !errors.Is(err, job.ErrBusy) {
		s.log.Warn("job left to the next sweep", zap.String("job", rec.Job), zap.String("task", rec.Task), zap.Error(err))
	}
	return nil
}

// over ends a held record if its job has ended at Graph.
func (s *Sweeper) over(ctx context.Context, rec job.Record, rev uint64) error {
	release, ok := s.effects.Claim(rec.Key())
	if !ok {
		return job.ErrBusy
	}
	defer release()
	j, err := s.effects.ReadJob(ctx, rec.Ref)
	switch {
	case graph.IsNotFound(err), err == nil && readback.AnotherJob(&rec, j):
		_, err = s.effects.MarkGone(ctx, rec, rev, "graph does not know the job")
	case err != nil:
		err = fmt.Errorf("read job back: %w", err)
	case readback.Outcome(&rec, j) != "":
		_, err = s.effects.FinishEnded(ctx, rec, rev, j)
	}
	return err
}
