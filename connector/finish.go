package connector

import (
	"context"

	"go.uber.org/zap"

	"pullprint/connector/held"
	"pullprint/trigger/graph"
)

// finishAgain finishes the task of a job that is aborted or completed by its record. Graph's
// abort may leave the task waiting, and a completion may have been answered by something
// in between. The task of a completed job is read first: it may have been completed since the
// sweep listed it. If it fails, the next sweep does it.
func (s *Sweeper) finishAgain(ctx context.Context, definition, task string, state held.State) {
	to, text := graph.TaskAborted, "the job was aborted"
	switch state {
	case held.Aborted:
	case held.Completed:
		now, err := s.graph.Task(ctx, definition, task)
		if err != nil || !taskWaits([]graph.Task{now}, task) {
			return
		}
		to, text = graph.TaskCompleted, completedText
	default:
		return
	}
	if err := s.graph.FinishTask(ctx, definition, task, to, text); err != nil {
		s.log.Debug("task of a finished job not finished", zap.String("task", task), zap.Error(err))
	}
}
