package connector

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/held"
	"pullprint/connector/store"
	"pullprint/trigger"
	"pullprint/trigger/graph"
	"pullprint/trigger/wait"
)

// secondLook is how long after it said that it does not know a job Graph is asked
// again: one of its servers may be behind the others.
const secondLook = 500 * time.Millisecond

// readJob reads a job. That Graph does not know it has to be said twice: a job that
// is taken for gone is lost to its owner.
func (e *effects) readJob(ctx context.Context, ref held.Ref) (graph.Job, error) {
	job, err := e.graph.Job(ctx, graph.Ref(ref))
	if !graph.IsNotFound(err) {
		return job, err
	}
	if err := wait.Sleep(ctx, secondLook); err != nil {
		return graph.Job{}, err
	}
	return e.graph.Job(ctx, graph.Ref(ref))
}

// jobOf reads the job of a record. Where its printer has given its number to another job, Graph
// does not know it any more.
func (e *effects) jobOf(ctx context.Context, rec *held.Record) (graph.Job, error) {
	job, err := e.graph.Job(ctx, graph.Ref(rec.Ref))
	if err == nil && anotherJob(rec, job) {
		return graph.Job{}, &graph.Error{Status: http.StatusNotFound}
	}
	return job, err
}

// anotherJob reports whether a job is surely not the one of a record with its number: it was
// created at another time, and has other tasks. Graph does not say that a printer never gives a
// number twice.
func anotherJob(rec *held.Record, job graph.Job) bool {
	return !rec.Created.IsZero() && !job.Created.IsZero() && !job.Created.Equal(rec.Created) && len(job.Tasks) > 0 &&
		!slices.ContainsFunc(job.Tasks, func(t graph.Task) bool { return sameTask(t.ID, rec.Task) })
}

// endFormer ends the record of a job whose number another job has now, and decides that one as
// any that comes. What the former job reserved is spent if it was let go on. The crash order:
// the former ends first, and its record is replaced last.
func (w *Worker) endFormer(ctx context.Context, d store.Delivery, ev trigger.Event, f jobState) error {
	rec, ended := &f.rec, canEnd(f.job.Created).Add(-1) // before this one can have
	var err error
	switch late := rec.Release != nil && rec.Release.Late; {
	case rec.State.Intent():
		if err = w.effects.resume(ctx, *rec, f.rev, d.Stored); err != nil {
			return fmt.Errorf("%w: the job that had the number before has not ended: %w", errBusy, err)
		}
		return errOutrun // its record has another revision now
	case !rec.State.Final():
		return errors.Join(w.effects.claimAndMarkGone(ctx, *rec, f.rev, "its number is another job's"), errOutrun)
	case rec.Charge == nil:
	case rec.State == held.Released, rec.State == held.Completed, late:
		_, err = w.Ledger.Settle(ctx, rec.Name(), rec.Charge.Accounts(), ended)
	default:
		_, err = w.Ledger.Void(ctx, rec.Name(), "", rec.Charge.Accounts(), ended)
	}
	if err != nil {
		return fmt.Errorf("end the reservation of a job whose number another has now: %w", err)
	}
	if err := w.effects.publish(ctx, rec); err != nil {
		return err
	}
	w.log.Warn("job number reused", zap.String("job", rec.Job), zap.String("task", rec.Task),
		zap.String("state", string(rec.State)))
	if f.rec, err = w.evaluator.newRecord(ctx, ev, f.job, f.q); err != nil {
		return err
	}
	return w.storeDecision(ctx, d, f)
}

// unknownJob says what it means that Graph does not know the job of an event: that
// it is over, when Graph does not know its task either or says that it is finished.
// While the task waits, its word stands against that.
func (w *Worker) unknownJob(ctx context.Context, ev trigger.Event) (over bool, err error) {
	task, err := w.Graph.Task(ctx, ev.Definition, ev.Task)
	switch {
	case graph.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("read task: %w", err)
	}
	return finished(task.State), nil
}

// finished reports whether a task has surely come to its end.
func finished(s graph.TaskState) bool { return s == graph.TaskCompleted || s == graph.TaskAborted }

// revivable reports whether a record was ended because Graph did not know its job,
// and Graph shows that job waiting.
func revivable(rec *held.Record, job graph.Job) bool {
	return rec.State == held.Gone && job.RedirectedTo == "" && jobWaits(job.State)
}

// closeTask finishes the task of a job that ended without us, when Graph has not: it
// would be listed as waiting for ever. Whatever Graph answers is fine.
func (w *Worker) closeTask(ctx context.Context, ev trigger.Event, job graph.Job) {
	switch job.State {
	case graph.JobCanceled, graph.JobAborted, graph.JobCompleted:
	default:
		return
	}
	if err := w.Graph.FinishTask(ctx, ev.Definition, ev.Task, graph.TaskAborted, "the job had ended"); err != nil {
		w.log.Debug("task of a job that ended not finished", zap.String("task", ev.Task), zap.Error(err))
	}
}
