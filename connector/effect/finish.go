package effect

import (
	"context"

	"go.uber.org/zap"

	"pullprint/connector/job"
	"pullprint/connector/job/readback"
	"pullprint/trigger/graph"
)

// CloseTask finishes the task of a job that ended without us, when Graph has not: it
// would be listed as waiting for ever. Whatever Graph answers is fine.
func (e *Executor) CloseTask(ctx context.Context, definition, task string, job graph.Job) {
	switch job.State {
	case graph.JobCanceled, graph.JobAborted, graph.JobCompleted:
	default:
		return
	}
	if err := e.graph.FinishTask(ctx, definition, task, graph.TaskAborted, "the job had ended"); err != nil {
		e.log.Debug("task of a job that ended not finished", zap.String("task", task), zap.Error(err))
	}
}

// FinishTaskOf finishes the task of a job that is aborted or completed by its record. Graph's
// abort may leave the task waiting, and a completion may have been answered by something
// in between. The task of a completed job is read first: it may have been completed since the
// sweep listed it. If it fails, the next sweep does it.
func (e *Executor) FinishTaskOf(ctx context.Context, definition, task string, state job.State) {
	to, text := graph.TaskAborted, "the job was aborted"
	switch state {
	case job.Aborted:
	case job.Completed:
		now, err := e.graph.Task(ctx, definition, task)
		if err != nil || !readback.TaskWaits([]graph.Task{now}, task) {
			return
		}
		to, text = graph.TaskCompleted, completedText
	default:
		return
	}
	if err := e.graph.FinishTask(ctx, definition, task, to, text); err != nil {
		e.log.Debug("task of a finished job not finished", zap.String("task", task), zap.Error(err))
	}
}
