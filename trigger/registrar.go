package trigger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/wait"
)

// The paths below the public URL to which Graph posts.
const (
	NotificationPath = "/graph/notifications"
	LifecyclePath    = "/graph/lifecycle"
)

// life is how long a subscription is asked for: the maximum for print, 4,230 minutes
// (https://learn.microsoft.com/graph/api/resources/subscription), less a margin for a wrong
// clock and for the time that the call takes.
const life = 4230*time.Minute - clockMargin

// Graph is asked every pollEvery ± pollSpread whether the subscription still exists, because
// it sends no notice of a lost one. So a lost one is replaced within 60 s.
const (
	pollEvery  = 45 * time.Second
	pollSpread = 5 * time.Second
)

// stepTimeout bounds one step of a round with its retries, so that nothing can block the
// Registrar. Creating a subscription is the longest: two validation requests of up to 10 s each.
const stepTimeout = time.Minute

// RoundLimit is more than a round of Run takes unless it is stuck: each of its eight steps is
// bounded by stepTimeout, and the wait before the next round by pollEvery + pollSpread.
const RoundLimit = 12 * time.Minute

// clockMargin is how far this machine's clock may be ahead of Graph's. With more, Graph
// refuses life as too long, and the error names the clock as the cause.
const clockMargin = 5 * time.Minute

// finishTimeout is how long a shutdown may wait until a new subscription is stored.
const finishTimeout = 10 * time.Second

// Definitions reads and creates task definitions.
type Definitions interface {
	Definitions(ctx context.Context) ([]graph.Definition, error)
	CreateDefinition(ctx context.Context, displayName string) (graph.Definition, error)
}

// SubscriptionReader reads the subscriptions of our app.
type SubscriptionReader interface {
	Subscriptions(ctx context.Context) ([]graph.Subscription, error)
	Subscription(ctx context.Context, id string) (graph.Subscription, error)
}

// SubscriptionWriter changes them.
type SubscriptionWriter interface {
	CreateSubscription(ctx context.Context, s graph.NewSubscription) (graph.Subscription, error)
	RenewSubscription(ctx context.Context, id string, expires time.Time) (graph.Subscription, error)
	ReauthorizeSubscription(ctx context.Context, id string) error
	DeleteSubscription(ctx context.Context, id string) error
}

// Graph is what the Registrar needs of Microsoft Graph; *graph.Client implements it.
type Graph interface {
	Definitions
	SubscriptionReader
	SubscriptionWriter
	// Now is the time at Graph, as far as it is known there.
	Now() time.Time
}

// RegistrarOptions configure a Registrar. Graph, State, Verifier, AppID and PublicURL are
// required.
type RegistrarOptions struct {
	Graph    Graph
	State    State
	Verifier *Verifier
	// AppID is our application (client) id. A definition of another app is never used.
	AppID string
	// Definition is the display name of our task definition.
	Definition string
	// PublicURL is where Graph reaches the webhook, without the two paths.
	PublicURL  string
	Logger     *zap.Logger
	Registerer prometheus.Registerer
	// OnResubscribed, if set, is called when a subscription was created: notifications may
	// have been missed before. It must not block.
	OnResubscribed func()
}

// Registrar keeps our definition and our subscription in Graph. One replica at a time should
// run it. If two do, compare-and-set on State prevents them from undoing each other's work.
type Registrar struct {
	o                       RegistrarOptions
	log                     *zap.Logger
	notifyURL, lifecycleURL string
	invisible               sync.Once

	// created is a subscription that Graph created and that may not be in State yet. It
	// outlives a Run, so that a Run after a lost lease can finish what the last one began.
	created *subscription

	turned atomic.Int64 // Unix nanoseconds; 0 while Run doesn't run
}

// Turned returns when the last round of Run began; zero while Run doesn't run, as when
// another replica keeps the subscription.
func (r *Registrar) Turned() time.Time {
	if at := r.turned.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// NewRegistrar checks the options and starts nothing.
func NewRegistrar(o RegistrarOptions) (*Registrar, error) {
	if o.Graph == nil || o.State == nil || o.Verifier == nil || o.AppID == "" {
		return nil, errors.New("registrar: graph, state, verifier and app id are required")
	}
	u, err := url.Parse(o.PublicURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("registrar: the public URL must be http(s)://host[/path]")
	}
	if o.Definition == "" {
		o.Definition = DefaultDefinition
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.OnResubscribed == nil {
		o.OnResubscribed = func() {}
	}
	base := strings.TrimRight(o.PublicURL, "/")
	r := &Registrar{
		o: o, log: o.Logger.Named("registrar"), notifyURL: base + NotificationPath, lifecycleURL: base + LifecyclePath,
	}
	// It stays 0: Graph lists triggers to signed-in administrators only. Dashboards use it.
	promauto.With(o.Registerer).NewGauge(prometheus.GaugeOpts{
		Name: "pullprint_triggers_visible",
		Help: "1 when the task triggers of the queues can be seen; with an app token Graph never shows them.",
	})
	return r, nil
}

// Run keeps definition and subscription until ctx ends. It retries for ever when Graph can't
// be reached or refuses. Only a sign-in that can't succeed without an operator ends it, with
// an *auth.Error. Calls of Run must not overlap.
func (r *Registrar) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.o.Verifier.Ready():
	}
	r.invisible.Do(func() {
		r.log.Warn("can't see task triggers with an app token",
			zap.String("hint", "a printer administrator can; only queues that have a trigger announce their jobs"))
	})
	k := &keeper{Registrar: r, orphans: true, failures: newFailureLog(r.log)}
	failures := 0
	defer r.turned.Store(0)
	for {
		r.turned.Store(time.Now().UnixNano())
		due, err := k.round(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case permanent(err):
			return fmt.Errorf("keep the subscription: %w", err)
		case err != nil:
			failures++
			due = backoff.Pause(failures)
		default:
			failures = 0
		}
		if err := wait.For(ctx, due, r.o.Verifier.wake); err != nil {
			return err
		}
	}
}

// permanent reports whether only an operator can fix the cause of err.
func permanent(err error) bool {
	var auth *auth.Error
	return errors.As(err, &auth) && auth.Permanent()
}

// errStale says that another replica wrote to State after we had read it.
var errStale = errors.New("another replica changed the state")

// keeper is one Run of a Registrar. Each round starts from State, so it doesn't matter where
// the last round, or another replica's, was interrupted.
type keeper struct {
	*Registrar
	failures failureLog

	checked  bool      // the definition was found in Graph
	unused   string    // clientState of a pending entry that certainly never reached Graph
	orphans  bool      // subscriptions that are not in State have to be looked for
	nextPoll time.Time // when Graph is asked next whether the subscription exists

	// State, as it was read at the start of a round.
	def    definition
	defRev uint64
	subs   subscriptions
	rev    uint64
}

// round does what is due and returns the time until something is due again.
func (k *keeper) round(ctx context.Context) (time.Duration, error) {
	if err := k.try(ctx, "read trigger state", k.readState); err != nil {
		return 0, err
	}
	// If Graph can't be asked for the definition, the one in State is used.
	defined := k.try(ctx, "find task definition", k.define)
	if k.def.ID == "" || permanent(defined) {
		return 0, defined
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"remember subscription", k.recoverPending},
		{"answer lifecycle event", k.answer},
		{"check subscription", k.poll},
		{"renew subscription", k.renew},
		{"create subscription", k.create},
		{"delete orphaned subscriptions", k.deleteOrphans},
	} {
		if err := k.try(ctx, step.what, step.do); err != nil {
			return 0, err
		}
	}
	due := k.nextPoll
	if at := k.subs.Current.renewAt(); at.Before(due) {
		due = at
	}
	return max(time.Until(due), time.Second), defined
}

// try does one step and logs its failures.
func (k *keeper) try(ctx context.Context, what string, step func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	err := step(bounded)
	switch {
	case err != nil && (ctx.Err() != nil || permanent(err)):
	case errors.Is(err, errStale):
		k.log.Debug("another replica acted, reading the state again", zap.String("what", what))
	default:
		k.failures.note(what, err)
	}
	return err
}

func (k *keeper) readState(ctx context.Context) error {
	var (
		def  definition
		subs subscriptions
	)
	defRev, err := load(ctx, k.o.State, keyDefinition, &def)
	if err != nil {
		return err
	}
	rev, err := load(ctx, k.o.State, keySubscription, &subs)
	if err != nil {
		return err
	}
	k.def, k.defRev, k.subs, k.rev = def, defRev, subs, rev
	return nil
}

// ahead is how far this machine's clock is ahead of Graph's. All times in State are by this
// machine's clock, as those who read them expect.
func (k *keeper) ahead() time.Duration { return time.Since(k.o.Graph.Now()) }

// local converts a time by Graph's clock into one by this machine's.
func (k *keeper) local(told time.Time) time.Time {
	if told.IsZero() {
		return told
	}
	return told.Add(k.ahead())
}

func (k *keeper) resource() string { return graph.TasksResource(k.def.ID) }

// afterPoll is when to ask Graph again after it has just been asked.
func afterPoll() time.Time {
	return time.Now().Add(pollEvery - pollSpread + rand.N(2*pollSpread))
}
