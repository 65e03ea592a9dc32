package connector

import (
	"context"
	"encoding/json"
	"time"

	"pullprint/trigger/graph"
)

// waitingGraph notes of a job that is worked on alone when it only waits for Graph: a
// process that is killed meanwhile did not die at the job. What Graph answers is read
// up to a limit, so no process dies at that either.
type waitingGraph struct {
	Graph
	noted *inflight
}

// Now is Graph's time, if the client knows it.
func (g waitingGraph) Now() time.Time {
	if c, ok := g.Graph.(interface{ Now() time.Time }); ok {
		return c.Now()
	}
	return time.Now()
}

func (g waitingGraph) Job(ctx context.Context, ref graph.JobRef) (graph.Job, error) {
	defer g.noted.wait(ctx)()
	return g.Graph.Job(ctx, ref)
}

func (g waitingGraph) Task(ctx context.Context, definition, task string) (graph.Task, error) {
	defer g.noted.wait(ctx)()
	return g.Graph.Task(ctx, definition, task)
}

func (g waitingGraph) AbortJob(ctx context.Context, ref graph.JobRef, reason string) error {
	defer g.noted.wait(ctx)()
	return g.Graph.AbortJob(ctx, ref, reason)
}

func (g waitingGraph) RedirectJob(
	ctx context.Context, ref graph.JobRef, destination string, settings json.RawMessage,
) (graph.JobRef, error) {
	defer g.noted.wait(ctx)()
	return g.Graph.RedirectJob(ctx, ref, destination, settings)
}

func (g waitingGraph) UpdateJob(ctx context.Context, ref graph.JobRef, settings json.RawMessage) error {
	defer g.noted.wait(ctx)()
	return g.Graph.UpdateJob(ctx, ref, settings)
}

func (g waitingGraph) Printer(ctx context.Context, id string) (graph.Printer, error) {
	defer g.noted.wait(ctx)()
	return g.Graph.Printer(ctx, id)
}

func (g waitingGraph) FinishTask(
	ctx context.Context, definition, task string, state graph.TaskState, description string,
) error {
	defer g.noted.wait(ctx)()
	return g.Graph.FinishTask(ctx, definition, task, state, description)
}

func (g waitingGraph) Groups(ctx context.Context, user string) ([]graph.Group, error) {
	defer g.noted.wait(ctx)()
	return g.Graph.Groups(ctx, user)
}

func (g waitingGraph) Language(ctx context.Context, user string) (string, error) {
	defer g.noted.wait(ctx)()
	return g.Graph.Language(ctx, user)
}
