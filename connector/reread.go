package connector

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/held"
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
	job, err := e.graph.Job(ctx, graph.JobRef(ref))
	if !graph.IsNotFound(err) {
		return job, err
	}
	if err := wait.Sleep(ctx, secondLook); err != nil {
		return graph.Job{}, err
	}
	return e.graph.Job(ctx, graph.JobRef(ref))
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
