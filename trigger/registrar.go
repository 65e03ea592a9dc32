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
	"go.uber.org/zap"

	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/wait"
)

// The paths under the public URL where Graph posts.
const (
	NotificationPath = "/graph/notifications"
	LifecyclePath    = "/graph/lifecycle"
)

// life is for how long we ask Graph to keep a subscription: 4,230 minutes are the
// most for print (https://learn.microsoft.com/graph/api/resources/subscription),
// less a margin for a wrong clock and the time that the call takes.
const life = 4230*time.Minute - clockMargin

// Graph is asked whether the subscription still lives every pollEvery ± pollSpread,
// because nothing tells when it is lost: within 60 s it is made again.
const (
	pollEvery  = 45 * time.Second
	pollSpread = 5 * time.Second
)

// actWithin bounds one call with its retries, so that nothing can hang the
// Registrar. Creating takes two handshakes of up to 10 s.
const actWithin = time.Minute

// RoundLimit is how long a turn of Run may take: each of its eight steps is bounded by
// actWithin, and the pause by pollEvery + pollSpread. A turn that takes longer is stuck.
const RoundLimit = 12 * time.Minute

// clockMargin is by how much this machine's clock may be ahead of Graph's: by more, Graph
// refuses life as too long, and the clock is named as the cause.
const clockMargin = 5 * time.Minute

// deliverWithin is what storing a new subscription may take of a shutdown.
const deliverWithin = 10 * time.Second

// Graph is what the Registrar needs of Microsoft Graph; *graph.Client is one.
type Graph interface {
	Definitions(ctx context.Context) ([]graph.Definition, error)
	CreateDefinition(ctx context.Context, displayName string) (graph.Definition, error)
	Subscriptions(ctx context.Context) ([]graph.Subscription, error)
	Subscription(ctx context.Context, id string) (graph.Subscription, error)
	CreateSubscription(ctx context.Context, s graph.NewSubscription) (graph.Subscription, error)
	RenewSubscription(ctx context.Context, id string, expires time.Time) (graph.Subscription, error)
	ReauthorizeSubscription(ctx context.Context, id string) error
	DeleteSubscription(ctx context.Context, id string) error
}

// RegistrarOptions are what a Registrar is made of. Graph, State, Verifier, AppID and
// PublicURL are needed.
type RegistrarOptions struct {
	Graph    Graph
	State    State
	Verifier *Verifier
	// AppID is our own application (client) id: a definition of another app is
	// never taken for ours.
	AppID string
	// Definition is the display name of our task definition.
	Definition string
	// PublicURL is where Graph reaches the webhook, without the two paths.
	PublicURL  string
	Logger     *zap.Logger
	Registerer prometheus.Registerer
	// OnResubscribed, when set, is told that a subscription was made, so that
	// notifications may have been missed before. It must not block.
	OnResubscribed func()
}

// Registrar keeps our definition and our subscription in Graph. One replica at
// a time should run it; if two do, compare-and-set on State keeps them from
// undoing each other's work.
type Registrar struct {
	o                       RegistrarOptions
	log                     *zap.Logger
	notifyURL, lifecycleURL string
	invisible               sync.Once

	// created was made by Graph and may not be in State yet. It outlives a Run, so
	// that a Run after a lost lease finishes what the one before began.
	created *subscription

	turned atomic.Int64
}

// Turned is when the loop of Run last turned; zero while it doesn't run, as when
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
		return nil, errors.New("registrar: graph, state, verifier and app id are needed")
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
	if o.Registerer != nil {
		// It stays 0: listing triggers is delegated only.
		o.Registerer.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pullprint_triggers_visible",
			Help: "1 when the task triggers of the queues can be seen; with an app token Graph never shows them.",
		}))
	}
	return r, nil
}

// Run keeps definition and subscription until ctx ends. Graph being unreachable
// or refusing is retried for ever and said once a minute; only a sign-in that
// can't succeed without an operator ends it, with a *auth.Error. Calls of
// Run must not overlap.
func (r *Registrar) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.o.Verifier.Ready():
	}
	r.invisible.Do(func() {
		r.log.Warn("can't see task triggers with an app token",
			zap.String("hint", "a printer administrator can; jobs are heard of only from queues that have one"))
	})
	k := &keeper{Registrar: r, tidy: true, failing: map[string]bool{}}
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
			due = pause(failures)
		default:
			failures = 0
		}
		if err := wait.For(ctx, due, r.o.Verifier.wake); err != nil {
			return err
		}
	}
}

// permanent reports whether only an operator can mend err.
func permanent(err error) bool {
	var auth *auth.Error
	return errors.As(err, &auth) && auth.Permanent()
}

// errLookAgain says that another replica acted: what we know is old.
var errLookAgain = errors.New("another replica changed the state")

// keeper is one Run of a Registrar. Every round starts from what State says, so
// that it doesn't matter where the last one, or another replica's, ended.
type keeper struct {
	*Registrar
	failing map[string]bool // by name: steps that failed the last time

	checked  bool      // the definition was found in Graph
	unused   string    // clientState of a pending entry that surely never reached Graph
	tidy     bool      // subscriptions that nobody remembers have to be looked for
	nextPoll time.Time // when Graph is asked again whether the subscription lives

	// What State says, read at the start of a round.
	def    definition
	defRev uint64
	subs   subscriptions
	rev    uint64
}

// round does what is due and returns how long nothing will be.
func (k *keeper) round(ctx context.Context) (time.Duration, error) {
	if err := k.try(ctx, "read trigger state", k.look); err != nil {
		return 0, err
	}
	// A definition that is remembered is good enough to go on with.
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

// try does one step and says when it fails and when it works again.
func (k *keeper) try(ctx context.Context, what string, step func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	err := step(bounded)
	switch {
	case err == nil && k.failing[what]:
		delete(k.failing, what)
		k.log.Info("works again", zap.String("what", what))
	case err == nil:
	case ctx.Err() != nil || permanent(err):
	case errors.Is(err, errLookAgain):
		k.log.Debug("another replica acted, looking again", zap.String("what", what))
	default:
		k.failing[what] = true
		k.log.Warn("failed, comes again", zap.String("what", what), zap.Error(err))
	}
	return err
}

// look reads State.
func (k *keeper) look(ctx context.Context) error {
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

// graphTime is the time at Graph, as far as its client knows.
func (k *keeper) graphTime() time.Time {
	if c, ok := k.o.Graph.(interface{ Now() time.Time }); ok {
		return c.Now()
	}
	return time.Now()
}

// ahead is by how much this machine's clock is ahead of Graph's. State has all times by
// this machine's clock, as whoever reads them does.
func (k *keeper) ahead() time.Duration { return time.Since(k.graphTime()) }

// here is a time that Graph told, by this machine's clock.
func (k *keeper) here(told time.Time) time.Time {
	if told.IsZero() {
		return told
	}
	return told.Add(k.ahead())
}

func (k *keeper) resource() string { return "print/taskDefinitions/" + k.def.ID + "/tasks" }

// soon is when to ask Graph again.
func soon() time.Time {
	return time.Now().Add(pollEvery - pollSpread + rand.N(2*pollSpread))
}
