// Package connector wires the parts that take a job from its notification to its end: evaluate,
// effect, arrival, release and sweep. It notes in between which of their calls only wait.
package connector

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/connector/arrival"
	"pullprint/connector/clock"
	"pullprint/connector/decision"
	"pullprint/connector/delegation"
	"pullprint/connector/effect"
	"pullprint/connector/evaluate"
	"pullprint/connector/index"
	"pullprint/connector/inflight"
	"pullprint/connector/job"
	"pullprint/connector/notice"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/connector/sweep"
	"pullprint/policy"
	"pullprint/trigger"
	"pullprint/trigger/graph"
)

// Graph is what the connector needs of Microsoft Graph; *graph.Client is one.
// Reads are retried by the client, effects never when they may have happened.
type Graph interface {
	clock.Source
	effect.Graph
	evaluate.Graph
	arrival.Graph
	release.PrinterReader
	sweep.Graph
}

// FullAudit stores decisions and dead letters; *bus.Bus is one.
type FullAudit interface {
	effect.Audit
	arrival.DeadLetters
}

// Ledger keeps the accounts; *ledger.Ledger is one.
type Ledger interface {
	effect.Ledger
	evaluate.BalanceReader
	arrival.Ledger
	sweep.Ledger
}

// Deps are what a Connector is made of. All are required except Next, Pages, Inflight, Trigger,
// SelfTests, Devices, GroupTTL, Registerer and OnDecision.
type Deps struct {
	Graph    Graph
	Jobs     *job.Store
	Ledger   Ledger
	Audit    FullAudit
	Notices  notice.Notices
	Feed     sweep.Feed
	Verifier *trigger.Verifier
	Policy   func() *policy.Policy
	// Next returns the policy that is tried out in shadow: what it would decide is
	// recorded. It may return nil.
	Next func() *policy.Policy
	// Pages counts the pages of a document; without it no pages are counted.
	Pages func(ctx context.Context, job graph.Ref, d graph.Document) (int, error)
	// Inflight stores what is being worked on, so that the next process knows what this
	// one died of. Without it, a job that kills the process kills every later one, too.
	Inflight inflight.KV
	// Trigger looks at the trigger of a printer, by the sign-in of an administrator
	// that is kept; without it, drift is noticed by what the jobs do.
	Trigger func(ctx context.Context, printer, definition string) (state, holder string, err error)
	// SelfTests knows the jobs of self-tests; nil when there are none.
	SelfTests evaluate.SelfTests
	Queues    []printer.Queue
	Devices   []printer.Device
	// Delegations are who may release whose jobs.
	Delegations *delegation.Store
	// GroupTTL is how long the groups of a person are cached; 0 is the default.
	GroupTTL time.Duration
	Index    *index.Index
	// Registerer takes the metrics; nil registers none.
	Registerer prometheus.Registerer
	Logger     *zap.Logger
	// Instance names this process in records; it must be new at every start.
	Instance string
	// Sole is true when no other instance can be alive on the same store, so
	// that the intents of others are taken over at once.
	Sole bool
	// OnDecision, when set, is told of each decision after it took effect.
	OnDecision func(decision.Decision)
}

// Connector is what takes a job from its notification to its end.
type Connector struct {
	Evaluator *evaluate.Evaluator
	Arrivals  *arrival.Handler
	Releaser  *release.Releaser
	Sweeper   *sweep.Sweeper
}

// New wires the parts. None of them starts a goroutine by itself.
func New(d Deps) *Connector {
	d.Queues, d.Devices = printer.Canonical(d.Queues), printer.CanonicalDevices(d.Devices)
	log := d.Logger.Named("worker")
	at := clock.New(d.Graph)
	notes := inflight.New(inflight.Options{
		KV: d.Inflight, Instance: d.Instance, Sole: d.Sole, Since: at.Since, Logger: log,
	})
	d.Graph = notedGraph{d.Graph, notes}
	d.Jobs = d.Jobs.Around(notes.WaitLong)
	d.Ledger, d.Audit = notedLedger{d.Ledger, notes}, notedAudit{d.Audit, notes}
	evaluator := evaluate.New(evaluate.Options{
		Graph: d.Graph, Policy: d.Policy, Shadow: d.Next, Pages: d.Pages, Ledger: d.Ledger, Queues: d.Queues,
		SelfTests: d.SelfTests, GroupTTL: d.GroupTTL, Inflight: notes, Instance: d.Instance, Registerer: d.Registerer, Logger: log,
	})
	effects := effect.New(effect.Options{
		Graph: d.Graph, Jobs: d.Jobs, Ledger: d.Ledger, Audit: d.Audit, Policy: d.Policy, Queues: d.Queues, Devices: d.Devices,
		Clock: at, Instance: d.Instance, Sole: d.Sole, OnDecision: d.OnDecision, Registerer: d.Registerer, Logger: log,
	})
	arrivals := arrival.New(arrival.Options{
		Graph: d.Graph, Jobs: d.Jobs, Ledger: d.Ledger, Dead: d.Audit, Verifier: d.Verifier, Queues: d.Queues, Index: d.Index,
		Inflight: notes, Evaluator: evaluator, Effects: effects, Clock: at, Instance: d.Instance, Registerer: d.Registerer, Logger: log,
	})
	return &Connector{
		Evaluator: evaluator,
		Arrivals:  arrivals,
		Releaser: release.New(release.Options{
			Graph: d.Graph, Jobs: d.Jobs, Policy: d.Policy, Queues: d.Queues, Devices: d.Devices, Delegations: d.Delegations,
			Evaluator: evaluator, Effects: effects, Clock: at, Registerer: d.Registerer, Logger: d.Logger.Named("release"),
		}),
		Sweeper: sweep.New(sweep.Options{
			Graph: d.Graph, Feed: d.Feed, Jobs: d.Jobs, Index: d.Index, Ledger: d.Ledger, Notices: d.Notices, Verifier: d.Verifier,
			Trigger: d.Trigger, Policy: d.Policy, Queues: d.Queues, Devices: d.Devices, Evaluator: evaluator, Effects: effects,
			Inflight: notes, Arrivals: arrivals, Clock: at, Instance: d.Instance, Registerer: d.Registerer, Logger: d.Logger.Named("sweep"),
		}),
	}
}
