package graph

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"pullprint/trigger/graph/transport"
)

const (
	earlyTimeout = 3 * time.Second  // of an early refresh: somebody's call waits for it
	earlyPause   = 30 * time.Second // between early refreshes that fail
	expiryMargin = 10 * time.Second // a token may be on its way that long
	forcedPause  = 10 * time.Second // after a fresh token was refused too
	unknownLife  = 5 * time.Minute  // of a token that doesn't say
)

// bearer is a token that was fetched.
type bearer struct {
	header           []string // of Authorization; shared, never written to
	refresh, expires time.Time
}

func (b *bearer) live(now time.Time) bool { return b != nil && now.Before(b.expires) }

// credential gives tokens to calls.
type credential interface {
	// get returns a live token. The error is an *AuthError or ctx's.
	get(ctx context.Context) (*bearer, error)
	// renewed returns another token than the one that Graph refused with 401, or
	// nil where it is better not to insist.
	renewed(ctx context.Context, stale *bearer) (*bearer, error)
	// distrusted notes that a token fetched because of a 401 got a 401 as well.
	distrusted()
}

// tokens keeps one live token of the app, by the client credentials flow
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow).
// At 80 % of a token's life one call fetches the next, while the others go on
// with the old one, which serves to its end if that fails. Without a live token
// all calls wait for one fetch. It starts no goroutine.
type tokens struct {
	asker   asker
	metrics *metrics
	log     *zap.Logger

	current   atomic.Pointer[bearer]
	nextEarly atomic.Int64 // unix nanoseconds
	distrust  atomic.Int64 // unix nanoseconds: no forced refresh before

	mu     sync.Mutex
	flight *flight
	failed error     // of the last fetch
	pause  time.Time // until then the authority asked to be left in peace
}

// flight is a fetch under way.
type flight struct {
	done      chan struct{}
	token     *bearer
	err       error
	abandoned bool // its caller gave up: says nothing about the authority
}

func newTokens(cfg Config, at addresses, c *Client) (*tokens, error) {
	t := &tokens{metrics: c.metrics, log: c.log}
	if kinds := cfg.Auth.Kinds(); len(kinds) == 1 && cfg.Auth.ManagedIdentity {
		var err error
		t.asker, err = newIdentity(cfg.Auth, strings.TrimSuffix(at.scope, "/.default"))
		return t, err
	}
	proof, err := newProof(cfg.Auth, at.token)
	if err != nil {
		return nil, err
	}
	t.asker = &credentials{
		conf: clientcredentials.Config{
			ClientID: cfg.Auth.ClientID, TokenURL: at.token, Scopes: []string{at.scope}, AuthStyle: oauth2.AuthStyleInParams,
		},
		proof:  proof,
		client: transport.Client(c.transport),
		stale:  func(err error) { t.log.Warn("credential not read again, the old one serves on", zap.Error(err)) },
	}
	return t, t.asker.check(time.Now())
}

// SignIn fetches a token now, whatever is held, in one try of at most 10
// seconds. The error is an *AuthError or ctx's.
func (c *Client) SignIn(ctx context.Context) error {
	if c.app == nil {
		_, err := c.tokens.get(ctx)
		return err
	}
	_, err := c.app.fetched(ctx, func(*bearer) bool { return false })
	return err
}

// KeepSignedIn fetches the next token when it is time, so that a process that has
// nothing to ask is as ready as one that has. The error is an *AuthError or ctx's.
func (c *Client) KeepSignedIn(ctx context.Context) error {
	_, err := c.tokens.get(ctx)
	return err
}

// TokenFresh is nil while a live token is held, else why there is none.
func (c *Client) TokenFresh() error {
	t := c.app
	if t == nil {
		return nil
	}
	if t.current.Load().live(time.Now()) {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed != nil {
		return t.failed
	}
	return &AuthError{}
}

// get returns a live token. The error is an *AuthError or ctx's.
func (t *tokens) get(ctx context.Context) (*bearer, error) {
	b, now := t.current.Load(), time.Now()
	if b != nil && now.Before(b.refresh) {
		return b, nil
	}
	if b.live(now.Add(expiryMargin)) {
		return t.early(ctx, b, now), nil
	}
	return t.fetched(ctx, func(b *bearer) bool { return b.live(time.Now().Add(expiryMargin)) })
}

// renewed returns another token than the one that Graph refused with 401, or
// nil where it is better not to insist.
func (t *tokens) renewed(ctx context.Context, stale *bearer) (*bearer, error) {
	if time.Now().UnixNano() < t.distrust.Load() {
		return nil, nil
	}
	return t.fetched(ctx, func(b *bearer) bool { return b != stale && b.live(time.Now()) })
}

// distrusted notes that a token fetched because of a 401 got a 401 as well: the
// trouble isn't the token, and the authority is to be left in peace.
func (t *tokens) distrusted() { t.distrust.Store(time.Now().Add(forcedPause).UnixNano()) }

// early fetches the next token if nobody does; on failure the old one goes on.
func (t *tokens) early(ctx context.Context, old *bearer, now time.Time) *bearer {
	if now.UnixNano() < t.nextEarly.Load() {
		return old
	}
	f, leader := t.join(nil)
	if f == nil || !leader {
		return old
	}
	t.lead(ctx, f, earlyTimeout)
	if f.err == nil {
		return f.token
	}
	if ctx.Err() == nil {
		t.nextEarly.Store(time.Now().Add(earlyPause).UnixNano())
		t.log.Warn("token not refreshed early, the old one serves on", zap.Time("expires", old.expires), zap.Error(f.err))
	}
	return old
}

// fetched returns the held token if it is good, else fetches one together with
// all who want one now.
func (t *tokens) fetched(ctx context.Context, good func(*bearer) bool) (*bearer, error) {
	for {
		f, leader := t.join(good)
		switch {
		case f == nil:
			return t.current.Load(), nil
		case leader:
			t.lead(ctx, f, transport.TryTimeout)
			if f.err != nil && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return f.token, f.err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.done:
		}
		if !f.abandoned {
			return f.token, f.err
		}
	}
}

// join enters the fetch under way, or begins one (leader) that the caller has
// to lead. It returns nil when the held token is good.
func (t *tokens) join(good func(*bearer) bool) (f *flight, leader bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if good != nil {
		if b := t.current.Load(); good(b) {
			return nil, false
		}
	}
	if t.flight != nil {
		return t.flight, false
	}
	t.flight = &flight{done: make(chan struct{})}
	return t.flight, true
}

// lead fetches for all who joined f.
func (t *tokens) lead(ctx context.Context, f *flight, limit time.Duration) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if f.err = t.paused(); f.err == nil {
		f.token, f.err = t.fetch(limited)
	}
	f.abandoned = f.err != nil && ctx.Err() != nil
	t.mu.Lock()
	if f.err == nil {
		t.current.Store(f.token)
	}
	if !f.abandoned {
		t.failed = f.err
	}
	var e *AuthError
	if errors.As(f.err, &e) && e.RetryAfter > 0 {
		t.pause = time.Now().Add(e.RetryAfter)
	}
	t.flight = nil
	t.mu.Unlock()
	close(f.done)
}

// paused is the error of the last fetch while the time lasts that the authority asked
// for by Retry-After.
func (t *tokens) paused() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := time.Until(t.pause)
	var last *AuthError
	if left <= 0 || !errors.As(t.failed, &last) {
		return nil
	}
	e := *last
	e.RetryAfter = left
	return &e
}

// fetch asks the authority once.
func (t *tokens) fetch(ctx context.Context) (*bearer, error) {
	began := time.Now()
	tok, err := t.asker.ask(ctx, began) // only the leader of a flight comes here
	if err == nil && !printable(tok.AccessToken) {
		err = transport.ErrNotJSON
	}
	if err != nil {
		var e *AuthError
		if !errors.As(err, &e) {
			e = authError(err)
		}
		t.metrics.observe(signIn, label(e.Status, e.Err), began)
		return nil, e
	}
	t.metrics.observe(signIn, strconv.Itoa(http.StatusOK), began)
	b := bearerOf(tok, began)
	t.log.Debug("token fetched", zap.Time("expires", b.expires))
	return b, nil
}

// bearerOf is a token as calls use it.
func bearerOf(tok *oauth2.Token, began time.Time) *bearer {
	b := &bearer{header: []string{"Bearer " + tok.AccessToken}, expires: tok.Expiry}
	if b.expires.IsZero() {
		b.expires = began.Add(unknownLife)
	}
	b.refresh = began.Add(b.expires.Sub(began) * 4 / 5)
	return b
}

// printable reports whether s can stand in a header.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}
