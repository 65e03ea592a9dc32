package connector

import (
	"context"
	"encoding/json"
	"time"

	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// waitingGraph notes of a job that is worked on when it only waits for Graph: a
// process that is killed meanwhile did not die at the job. What Graph answers is read
// up to a limit, so no process dies at that either. waitingLedger, waitingAudit and
// held.Store.Around do the same for the store.
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

type waitingLedger struct {
	Ledger
	noted *inflight
}

func (l waitingLedger) Reserve(ctx context.Context, c quota.Charge) error {
	defer l.noted.waitLong(ctx)()
	return l.Ledger.Reserve(ctx, c)
}

func (l waitingLedger) Void(
	ctx context.Context, job, attempt string, accounts []quota.Account, now time.Time,
) (bool, error) {
	defer l.noted.waitLong(ctx)()
	return l.Ledger.Void(ctx, job, attempt, accounts, now)
}

func (l waitingLedger) Balances(ctx context.Context, claims []quota.Claim, now time.Time) ([]quota.Balance, error) {
	defer l.noted.waitLong(ctx)()
	return l.Ledger.Balances(ctx, claims, now)
}

func (l waitingLedger) View(ctx context.Context, a quota.Account) (quota.View, error) {
	defer l.noted.waitLong(ctx)()
	return l.Ledger.View(ctx, a)
}

type waitingAudit struct {
	Audit
	noted *inflight
}

func (a waitingAudit) PublishDecision(ctx context.Context, verdict, msgID string, body []byte) error {
	defer a.noted.waitLong(ctx)()
	return a.Audit.PublishDecision(ctx, verdict, msgID, body)
}

func (a waitingAudit) PublishDead(ctx context.Context, msgID string, body []byte) error {
	defer a.noted.waitLong(ctx)()
	return a.Audit.PublishDead(ctx, msgID, body)
}
