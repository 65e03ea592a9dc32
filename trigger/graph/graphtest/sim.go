package graphtest

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Sim is one tenant of Universal Print. Use [New]. It is safe for concurrent use.
type Sim struct {
	seed   uint64
	knobs  atomic.Pointer[Knobs]
	knobMu sync.Mutex // changes to knobs
	dice   *dice
	serial atomic.Uint64 // request ids
	outage atomic.Int32

	ctx    context.Context // ends deliveries when the simulator closes
	cancel context.CancelFunc
	chores chores
	posts  http.RoundTripper // the default Deliver

	mu          sync.Mutex // everything below
	apps        map[string]*app
	users       map[string]*User // by id
	upns        map[string]*User
	employees   map[string][]*User
	definitions map[string]*definition
	defOrder    []*definition
	tasks       map[string]*task
	printers    map[string]*printer
	printOrder  []*printer
	operations  map[string]*operationTask
	subs        map[string]*subscription
	subOrder    []*subscription
	outboxes    map[string]*outbox
	paper       []Sheet
	mail        []Message
	teams       []*teamsApp

	tokens tokens
	openID openID
	log    journal
}

const (
	outageNone int32 = iota
	outageUnavailable
	outageUnreachable
)

// New returns an empty tenant. It starts nothing; deliveries and printing run on goroutines that [Sim.Close]
// waits for.
func New(k Knobs) *Sim {
	if k.Seed == 0 {
		var b [8]byte
		_, _ = crand.Read(b[:]) // never fails
		k.Seed = binary.LittleEndian.Uint64(b[:])>>40 | 1
	}
	s := &Sim{
		seed: k.Seed, dice: newDice(k.Seed),
		apps: make(map[string]*app), users: make(map[string]*User), upns: make(map[string]*User),
		employees:   make(map[string][]*User),
		definitions: make(map[string]*definition), tasks: make(map[string]*task), printers: make(map[string]*printer),
		operations: make(map[string]*operationTask),
		subs:       make(map[string]*subscription), outboxes: make(map[string]*outbox),
	}
	s.tokens.init()
	s.openID.codes, s.openID.visited = make(map[string]*authCode), make(map[string]string)
	s.log.init()
	s.chores.timers = make(map[*chore]struct{})
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.posts = newDeliverer()
	s.knobs.Store(k.withDefaults())
	return s
}

// Seed returns the seed in use, also if New chose it.
func (s *Sim) Seed() uint64 { return s.seed }

// Tenant is the directory's id.
func (s *Sim) Tenant() string { return s.knobs.Load().Tenant }

// Knobs returns a copy of the current settings.
func (s *Sim) Knobs() Knobs { return *s.knobs.Load() }

// Change changes settings while the simulator runs, except Seed and Tenant. Calls under way keep the old ones.
func (s *Sim) Change(turn func(*Knobs)) {
	s.knobMu.Lock()
	defer s.knobMu.Unlock()
	k := *s.knobs.Load()
	tenant := k.Tenant
	turn(&k)
	k.Seed, k.Tenant = s.seed, tenant
	s.knobs.Store(k.withDefaults())
}

// Outage makes Graph and the authority answer 503 to everything, until it is switched off.
func (s *Sim) Outage(on bool) { s.setOutage(on, outageUnavailable) }

// Unreachable makes Graph and the authority refuse connections (over sockets: close them), until it is switched off.
func (s *Sim) Unreachable(on bool) { s.setOutage(on, outageUnreachable) }

func (s *Sim) setOutage(on bool, kind int32) {
	if !on {
		kind = outageNone
	}
	s.outage.Store(kind)
}

// Close stops deliveries, timers and printing, and waits for their goroutines. Calls still work afterwards, but
// have no later effects.
func (s *Sim) Close() {
	s.cancel()
	s.chores.close()
	if t, ok := s.posts.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// chores are scheduled functions. close cancels them or waits for them.
type chores struct {
	mu     sync.Mutex
	closed bool
	timers map[*chore]struct{}
	wg     sync.WaitGroup
}

type chore struct{ timer *time.Timer }

// after runs fn on its own goroutine after d, unless closed before. The result cancels it.
func (c *chores) after(d time.Duration, fn func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return func() {}
	}
	c.wg.Add(1)
	t := &chore{}
	t.timer = time.AfterFunc(d, func() {
		defer c.wg.Done()
		c.mu.Lock()
		delete(c.timers, t)
		c.mu.Unlock()
		fn()
	})
	c.timers[t] = struct{}{}
	return func() { c.stop(t) }
}

func (c *chores) stop(t *chore) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, waiting := c.timers[t]; waiting && t.timer.Stop() {
		delete(c.timers, t)
		c.wg.Done()
	}
}

func (c *chores) close() {
	c.mu.Lock()
	c.closed = true
	for t := range c.timers {
		if t.timer.Stop() {
			c.wg.Done()
		}
	}
	clear(c.timers)
	c.mu.Unlock()
	c.wg.Wait()
}
