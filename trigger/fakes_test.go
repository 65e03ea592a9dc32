package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"path"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/trigger/graph"
)

// mapState is State in a map. Processes share one through cells.
type mapState struct {
	mu       sync.Mutex
	rev      uint64
	values   map[string]entry
	watchers map[chan struct{}]bool
}

type entry struct {
	value []byte
	rev   uint64
}

func newMapState() *mapState {
	return &mapState{values: map[string]entry{}, watchers: map[chan struct{}]bool{}}
}

// cell is what one process has of the State: it can be cut off, as by kill -9.
type cell struct {
	*mapState
	mu     sync.Mutex
	dead   bool
	frozen bool // the watch delivers nothing any more
	gets   int
}

var errDead = errors.New("no connection to the state")

func (s *mapState) cell() *cell { return &cell{mapState: s} }

func (c *cell) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
}

func (c *cell) freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = true
}

func (c *cell) is(f *bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *f
}

func (c *cell) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if ctx.Err() != nil || c.is(&c.dead) {
		return nil, 0, errDead
	}
	c.mu.Lock()
	c.gets++
	c.mu.Unlock()
	c.mapState.mu.Lock()
	defer c.mapState.mu.Unlock()
	e := c.values[key]
	return e.value, e.rev, nil
}

func (c *cell) CompareAndSet(ctx context.Context, key string, value []byte, rev uint64, _ time.Duration) (uint64, bool, error) {
	if ctx.Err() != nil || c.is(&c.dead) {
		return 0, false, errDead
	}
	c.mapState.mu.Lock()
	defer c.mapState.mu.Unlock()
	if c.values[key].rev != rev {
		return 0, false, nil
	}
	c.rev++
	c.values[key] = entry{slices.Clone(value), c.rev}
	for w := range c.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
	return c.rev, true, nil
}

func (c *cell) Watch(ctx context.Context, filter string, fn func(string, []byte, uint64), caughtUp func()) error {
	news := make(chan struct{}, 1)
	c.mapState.mu.Lock()
	c.watchers[news] = true
	c.mapState.mu.Unlock()
	defer func() {
		c.mapState.mu.Lock()
		defer c.mapState.mu.Unlock()
		delete(c.watchers, news)
	}()
	var seen uint64
	for first := true; ; first = false {
		c.mapState.mu.Lock()
		now := maps.Clone(c.values)
		upTo := c.rev
		c.mapState.mu.Unlock()
		for key, e := range now {
			if ok, _ := path.Match(filter, key); ok && e.rev > seen && !c.is(&c.frozen) {
				fn(key, e.value, e.rev)
			}
		}
		seen = upTo
		if first {
			caughtUp()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-news:
		}
	}
}

// fakeGraph answers the Registrar from memory, with virtual time for its clock.
type fakeGraph struct {
	mu    sync.Mutex
	next  int
	defs  []graph.Definition
	subs  map[string]*liveSub
	calls map[string]int
	// fail is asked before each call; an error that is applied happens all the
	// same, only its answer is lost.
	fail func(op string) (err error, applied bool)
	// created is called with a new subscription before its maker hears of it.
	created func(s liveSub)
}

type liveSub struct {
	graph.Subscription
	asked   graph.NewSubscription
	renewed []time.Time
}

const (
	ourApp    = "815f204f-c791-4ee6-9098-614ecdb003f6"
	ourTenant = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
	ourURL    = "https://print.example.com"
)

func newFakeGraph() *fakeGraph {
	return &fakeGraph{subs: map[string]*liveSub{}, calls: map[string]int{}}
}

// enter counts a call and says how it is to fail. It is followed by leave.
//
//nolint:revive // the error is first: it fails, and was applied all the same
func (g *fakeGraph) enter(ctx context.Context, op string) (err error, applied bool) {
	g.mu.Lock()
	g.calls[op]++
	fail := g.fail
	g.mu.Unlock()
	if err = ctx.Err(); err == nil && fail != nil {
		err, applied = fail(op)
	}
	g.mu.Lock()
	for id, s := range g.subs {
		if !time.Now().Before(s.Expires) {
			delete(g.subs, id)
		}
	}
	return err, applied
}

func (g *fakeGraph) id(kind string) string {
	g.next++
	return kind + "-" + strconv.Itoa(g.next)
}

func (g *fakeGraph) count(op string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[op]
}

func (g *fakeGraph) live() (all []liveSub) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.subs {
		if time.Now().Before(s.Expires) {
			all = append(all, *s)
		}
	}
	return all
}

func (g *fakeGraph) remove(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.subs, id)
}

func (g *fakeGraph) failing(f func(op string) (error, bool)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fail = f
}

func gone(op string) error { return &graph.Error{Operation: op, Status: 404, Code: "ResourceNotFound"} }

func down(op string) (error, bool) { //nolint:revive // as enter
	return &graph.Error{Operation: op, Status: 503}, false
}

func (g *fakeGraph) Now() time.Time { return time.Now() }

func (g *fakeGraph) Definitions(ctx context.Context) ([]graph.Definition, error) {
	err, _ := g.enter(ctx, "definitions")
	defer g.mu.Unlock()
	return slices.Clone(g.defs), err
}

func (g *fakeGraph) CreateDefinition(ctx context.Context, name string) (graph.Definition, error) {
	err, applied := g.enter(ctx, "create definition")
	defer g.mu.Unlock()
	if err != nil && !applied {
		return graph.Definition{}, err
	}
	d := graph.Definition{ID: g.id("def"), DisplayName: name, AppID: ourApp}
	g.defs = append(g.defs, d)
	return d, err
}

func (g *fakeGraph) Subscriptions(ctx context.Context) (all []graph.Subscription, err error) {
	err, _ = g.enter(ctx, "subscriptions")
	defer g.mu.Unlock()
	for _, s := range g.subs {
		all = append(all, s.Subscription)
	}
	return all, err
}

func (g *fakeGraph) Subscription(ctx context.Context, id string) (graph.Subscription, error) {
	err, _ := g.enter(ctx, "subscription")
	defer g.mu.Unlock()
	if err != nil {
		return graph.Subscription{}, err
	}
	s, ok := g.subs[id]
	if !ok {
		return graph.Subscription{}, gone("subscription")
	}
	return s.Subscription, nil
}

func (g *fakeGraph) CreateSubscription(ctx context.Context, n graph.NewSubscription) (graph.Subscription, error) {
	err, applied := g.enter(ctx, "create subscription")
	if err != nil && !applied {
		g.mu.Unlock()
		return graph.Subscription{}, err
	}
	if id, _, ok := graph.ParseTaskResource(n.Resource + "/x"); !ok ||
		!slices.ContainsFunc(g.defs, func(d graph.Definition) bool { return d.ID == id }) {
		g.mu.Unlock()
		return graph.Subscription{}, &graph.Error{Operation: "create subscription", Status: 400}
	}
	for _, s := range g.subs {
		if s.Resource == n.Resource {
			g.mu.Unlock()
			return graph.Subscription{}, &graph.Error{Operation: "create subscription", Status: 409, Code: "Conflict"}
		}
	}
	s := &liveSub{
		asked: n, Subscription: graph.Subscription{
			ID: g.id("sub"), Resource: n.Resource,
			NotificationURL: n.NotificationURL, Expires: n.Expires,
		},
	}
	g.subs[s.ID] = s
	created := g.created
	g.mu.Unlock()
	if created != nil {
		created(*s)
	}
	return s.Subscription, err
}

func (g *fakeGraph) RenewSubscription(ctx context.Context, id string, expires time.Time) (graph.Subscription, error) {
	err, _ := g.enter(ctx, "renew")
	defer g.mu.Unlock()
	if err != nil {
		return graph.Subscription{}, err
	}
	s, ok := g.subs[id]
	if !ok {
		return graph.Subscription{}, gone("renew")
	}
	s.Expires, s.renewed = expires, append(s.renewed, time.Now())
	return s.Subscription, nil
}

func (g *fakeGraph) ReauthorizeSubscription(ctx context.Context, id string) error {
	err, _ := g.enter(ctx, "reauthorize")
	defer g.mu.Unlock()
	if _, ok := g.subs[id]; err == nil && !ok {
		return gone("reauthorize")
	}
	return err
}

func (g *fakeGraph) DeleteSubscription(ctx context.Context, id string) error {
	err, _ := g.enter(ctx, "delete")
	defer g.mu.Unlock()
	if _, ok := g.subs[id]; err == nil && !ok {
		return gone("delete")
	}
	if err == nil {
		delete(g.subs, id)
	}
	return err
}

// rewrite changes what State remembers of the subscriptions, as another replica would.
func (s *mapState) rewrite(t *testing.T, change func(*subscriptions)) {
	t.Helper()
	c := s.cell()
	var subs subscriptions
	rev, err := load(t.Context(), c, keySubscription, &subs)
	if err != nil {
		t.Fatal(err)
	}
	change(&subs)
	value, err := json.Marshal(subs)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := c.CompareAndSet(t.Context(), keySubscription, value, rev, 0); err != nil || !ok {
		t.Fatal("state not rewritten", err)
	}
}

// add is a subscription that somebody else made.
func (g *fakeGraph) add(id, resource string) {
	g.subs[id] = &liveSub{
		Subscription: graph.Subscription{
			ID: id, Resource: resource, NotificationURL: ourURL + NotificationPath,
			Expires: time.Now().Add(life),
		},
	}
}

// process is one replica: a Verifier and, if it leads, a Registrar.
type process struct {
	t        *testing.T
	state    *cell
	verifier *Verifier
	reg      *Registrar
	resub    int
	stops    []func()
}

type processOptions struct {
	url, name string
	log       *zap.Logger
}

func start(t *testing.T, s *mapState, g *fakeGraph, o processOptions) *process {
	t.Helper()
	p := follow(t, s)
	if o.url == "" {
		o.url = ourURL
	}
	var err error
	p.reg, err = NewRegistrar(RegistrarOptions{
		Graph: g, State: p.state, Verifier: p.verifier, AppID: ourApp, Definition: o.name, PublicURL: o.url, Logger: o.log,
		OnResubscribed: func() { p.resub++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	p.run(p.reg.Run)
	return p
}

// follow is a replica that doesn't lead.
func follow(t *testing.T, s *mapState) *process {
	c := s.cell()
	p := &process{t: t, state: c, verifier: NewVerifier(VerifierOptions{TenantID: ourTenant, State: c})}
	p.run(p.verifier.Run)
	return p
}

func (p *process) run(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	p.stops = append(p.stops, func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			p.t.Errorf("ended with %v", err)
		}
	})
}

func (p *process) stop() {
	for _, f := range p.stops {
		f()
	}
	p.stops = nil
}

// die is kill -9: nothing it does from now on reaches anybody.
func (p *process) die() {
	p.state.kill()
	p.stop()
}
