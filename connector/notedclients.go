package connector

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"pullprint/connector/inflight"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger/graph"
)

// notedGraph records in the note of a job that it only waits for Graph: if the process is
// killed meanwhile, the job is not the cause. Answers of Graph are read up to a limit, so
// they are not the cause either. notedLedger, notedAudit and job.Store.Around do the same
// for the store.
type notedGraph struct {
	Graph
	noted *inflight.Notes
}

func (g notedGraph) Job(ctx context.Context, ref graph.Ref) (graph.Job, error) {
	defer g.noted.Wait(ctx)()
	return g.Graph.Job(ctx, ref)
}

func (g notedGraph) Task(ctx context.Context, definition, task string) (graph.Task, error) {
	defer g.noted.Wait(ctx)()
	return g.Graph.Task(ctx, definition, task)
}

func (g notedGraph) AbortJob(ctx context.Context, ref graph.Ref, reason string) error {
	defer g.noted.Wait(ctx)()
	return g.Graph.AbortJob(ctx, ref, reason)
}

func (g notedGraph) RedirectJob(
	ctx context.Context, ref graph.Ref, destination string, settings json.RawMessage,
) (graph.Ref, error) {
	defer g.noted.Wait(ctx)()
	return g.Graph.RedirectJob(ctx, ref, destination, settings)
}

func (g notedGraph) UpdateJob(ctx context.Context, ref graph.Ref, settings json.RawMessage) error {
	defer g.noted.Wait(ctx)()
	return g.Graph.UpdateJob(ctx, ref, settings)
}

// Jobs notes one wait for all pages; what the caller does with a job takes no time.
func (g notedGraph) Jobs(ctx context.Context, printer string) iter.Seq2[graph.Job, error] {
	return func(yield func(graph.Job, error) bool) {
		defer g.noted.Wait(ctx)()
		g.Graph.Jobs(ctx, printer)(yield)
	}
}

func (g notedGraph) Attributes(ctx context.Context, printer string) (graph.Attributes, error) {
	defer g.noted.Wait(ctx)()
	return g.Graph.Attributes(ctx, printer)
}

func (g notedGraph) Printer(ctx context.Context, id string) (graph.Printer, error) {
	defer g.noted.Wait(ctx)()
	return g.Graph.Printer(ctx, id)
}

func (g notedGraph) FinishTask(
	ctx context.Context, definition, task string, state graph.TaskState, description string,
) error {
	defer g.noted.Wait(ctx)()
	return g.Graph.FinishTask(ctx, definition, task, state, description)
}

func (g notedGraph) Groups(ctx context.Context, user string) ([]graph.Group, error) {
	defer g.noted.Wait(ctx)()
	return g.Graph.Groups(ctx, user)
}

func (g notedGraph) Language(ctx context.Context, user string) (string, error) {
	defer g.noted.Wait(ctx)()
	return g.Graph.Language(ctx, user)
}

type notedLedger struct {
	Ledger
	noted *inflight.Notes
}

func (l notedLedger) Reserve(ctx context.Context, c quota.Charge) error {
	defer l.noted.WaitLong(ctx)()
	return l.Ledger.Reserve(ctx, c)
}

func (l notedLedger) Settle(
	ctx context.Context, job string, accounts []quota.Account, now time.Time,
) (quota.Amount, error) {
	defer l.noted.WaitLong(ctx)()
	return l.Ledger.Settle(ctx, job, accounts, now)
}

func (l notedLedger) Reopen(ctx context.Context, accounts []quota.Account, c quota.Charge) error {
	defer l.noted.WaitLong(ctx)()
	return l.Ledger.Reopen(ctx, accounts, c)
}

func (l notedLedger) Void(
	ctx context.Context, job, attempt string, accounts []quota.Account, now time.Time,
) (bool, error) {
	defer l.noted.WaitLong(ctx)()
	return l.Ledger.Void(ctx, job, attempt, accounts, now)
}

func (l notedLedger) Balances(ctx context.Context, claims []quota.Claim, now time.Time) ([]quota.Balance, error) {
	defer l.noted.WaitLong(ctx)()
	return l.Ledger.Balances(ctx, claims, now)
}

func (l notedLedger) View(ctx context.Context, a quota.Account) (ledger.View, error) {
	defer l.noted.WaitLong(ctx)()
	return l.Ledger.View(ctx, a)
}

type notedAudit struct {
	FullAudit
	noted *inflight.Notes
}

func (a notedAudit) PublishDecision(ctx context.Context, verdict, msgID string, body []byte) error {
	defer a.noted.WaitLong(ctx)()
	return a.FullAudit.PublishDecision(ctx, verdict, msgID, body)
}

func (a notedAudit) PublishDead(ctx context.Context, msgID string, body []byte) error {
	defer a.noted.WaitLong(ctx)()
	return a.FullAudit.PublishDead(ctx, msgID, body)
}
