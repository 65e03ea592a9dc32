package auth

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"pullprint/trigger/graph/transport"
)

const (
	earlyTimeout   = 3 * time.Second  // of an early refresh: somebody's call waits for it
	earlyRetry     = 30 * time.Second // between early refreshes that fail
	expiryMargin   = 10 * time.Second // a token may be on its way that long
	distrustPeriod = 10 * time.Second // after a fresh token was refused too
	unknownLife    = 5 * time.Minute  // of a token that doesn't say
)

// Token is an access token.
type Token struct {
	header           []string // of Authorization; shared, never written to
	refresh, expires time.Time
}

func (t *Token) live(now time.Time) bool { return t != nil && now.Before(t.expires) }

// Header is the value of the header Authorization. It must not be changed.
func (t *Token) Header() []string { return t.header }

// App keeps one live token of the app, by the client credentials flow
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow).
// At 80 % of a token's life one call fetches the next, while the others go on
// with the old one, which serves to its end if that fails. Without a live token
// all calls wait for one fetch. It starts no goroutine and is safe for concurrent use.
type App struct {
	fetcher tokenFetcher
	observe func(status int, err error, began time.Time)
	log     *zap.Logger

	current   atomic.Pointer[Token]
	nextEarly atomic.Int64 // unix nanoseconds
	distrust  atomic.Int64 // unix nanoseconds: no forced refresh before

	mu     sync.Mutex
	flight *flight
	failed error     // of the last fetch
	pause  time.Time // until then the authority asked not to be called
}

// flight is a fetch under way.
type flight struct {
	done      chan struct{}
	token     *Token
	err       error
	abandoned bool // its caller gave up: says nothing about the authority
}

// Options are what a source of tokens takes from the client of Graph. All are needed.
type Options struct {
	// TenantID is the directory (tenant) id, Resource the root of Graph in its cloud, as
	// https://graph.microsoft.com, and TokenURL the token endpoint of the authority.
	TenantID, Resource, TokenURL string
	Transport                    http.RoundTripper
	Logger                       *zap.Logger
	// Observe is told of each request for a token: with which status it was answered, or
	// why it was not, and when it began.
	Observe func(status int, err error, began time.Time)
}

// NewApp returns the source of the tokens of an app. It reads the files of the credential and
// calls nobody. An error here is final: fix the configuration.
func NewApp(c Config, o Options) (*App, error) {
	a := &App{observe: o.Observe, log: o.Logger}
	if kinds := c.Kinds(); len(kinds) == 1 && c.ManagedIdentity {
		var err error
		a.fetcher, err = newManagedIdentity(c, o.Resource)
		return a, err
	}
	credential, err := newClientCredential(c, o.TokenURL)
	if err != nil {
		return nil, err
	}
	a.fetcher = &clientCredentials{
		conf: clientcredentials.Config{
			ClientID: c.ClientID, TokenURL: o.TokenURL, Scopes: []string{o.Resource + "/.default"},
			AuthStyle: oauth2.AuthStyleInParams,
		},
		credential: credential,
		client:     transport.Client(o.Transport),
		onReadError: func(err error) {
			a.log.Warn("credential not read again, the previous one stays in use", zap.Error(err))
		},
	}
	return a, a.fetcher.check(time.Now())
}

// Fetch fetches a token now, whether one is held or not, in one try of at most 10 seconds.
// The error is an *Error or ctx's.
func (a *App) Fetch(ctx context.Context) error {
	_, err := a.fetched(ctx, func(*Token) bool { return false })
	return err
}

// Fresh is nil while a live token is held, else why there is none.
func (a *App) Fresh() error {
	if a.current.Load().live(time.Now()) {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed != nil {
		return a.failed
	}
	return &Error{}
}

// Token returns a live token. The error is an *Error or ctx's.
func (a *App) Token(ctx context.Context) (*Token, error) {
	b, now := a.current.Load(), time.Now()
	if b != nil && now.Before(b.refresh) {
		return b, nil
	}
	if b.live(now.Add(expiryMargin)) {
		return a.early(ctx, b, now), nil
	}
	return a.fetched(ctx, func(b *Token) bool { return b.live(time.Now().Add(expiryMargin)) })
}

// Renew returns another token than the one that Graph refused with 401, or nil when
// another must not be fetched yet.
func (a *App) Renew(ctx context.Context, stale *Token) (*Token, error) {
	if time.Now().UnixNano() < a.distrust.Load() {
		return nil, nil
	}
	return a.fetched(ctx, func(b *Token) bool { return b != stale && b.live(time.Now()) })
}

// Distrust notes that a token fetched because of a 401 got a 401 as well: the token is not
// the cause, so no further one is fetched because of a 401 for a while.
func (a *App) Distrust() { a.distrust.Store(time.Now().Add(distrustPeriod).UnixNano()) }

// early fetches the next token if nobody does; on failure the old one goes on.
func (a *App) early(ctx context.Context, old *Token, now time.Time) *Token {
	if now.UnixNano() < a.nextEarly.Load() {
		return old
	}
	f, leader := a.join(nil)
	if !leader {
		return old
	}
	a.lead(ctx, f, earlyTimeout)
	if f.err == nil {
		return f.token
	}
	if ctx.Err() == nil {
		a.nextEarly.Store(time.Now().Add(earlyRetry).UnixNano())
		a.log.Warn("token not refreshed early, the current one stays in use", zap.Time("expires", old.expires), zap.Error(f.err))
	}
	return old
}

// fetched returns the held token if it is good, else fetches one together with
// all who want one now.
func (a *App) fetched(ctx context.Context, good func(*Token) bool) (*Token, error) {
	for {
		f, leader := a.join(good)
		switch {
		case f == nil:
			return a.current.Load(), nil
		case leader:
			a.lead(ctx, f, transport.TryTimeout)
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
func (a *App) join(good func(*Token) bool) (f *flight, leader bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if good != nil {
		if b := a.current.Load(); good(b) {
			return nil, false
		}
	}
	if a.flight != nil {
		return a.flight, false
	}
	a.flight = &flight{done: make(chan struct{})}
	return a.flight, true
}

// lead fetches for all who joined f. A panic is the leader's own: to the others f is
// abandoned, and they fetch themselves.
func (a *App) lead(ctx context.Context, f *flight, limit time.Duration) {
	f.abandoned = true
	defer a.landed(f)
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if f.err = a.paused(); f.err == nil {
		f.token, f.err = a.fetch(limited)
	}
	f.abandoned = f.err != nil && ctx.Err() != nil
}

// landed makes what became of f known.
func (a *App) landed(f *flight) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.token != nil {
		a.current.Store(f.token)
	}
	if !f.abandoned {
		a.failed = f.err
	}
	var e *Error
	if errors.As(f.err, &e) && e.RetryAfter > 0 {
		a.pause = time.Now().Add(e.RetryAfter)
	}
	a.flight = nil
	close(f.done)
}

// paused is the error of the last fetch while the time lasts that the authority asked
// for by Retry-After.
func (a *App) paused() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	left := time.Until(a.pause)
	var last *Error
	if left <= 0 || !errors.As(a.failed, &last) {
		return nil
	}
	e := *last
	e.RetryAfter = left
	return &e
}

// fetch asks the authority once.
func (a *App) fetch(ctx context.Context) (*Token, error) {
	began := time.Now()
	tok, err := a.fetcher.fetch(ctx, began) // only the leader of a flight comes here
	if err == nil && !printable(tok.AccessToken) {
		err = transport.ErrNotJSON
	}
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = errorOf(err)
		}
		a.observe(e.Status, e.Err, began)
		return nil, e
	}
	a.observe(http.StatusOK, nil, began)
	b := tokenOf(tok, began)
	a.log.Debug("token fetched", zap.Time("expires", b.expires))
	return b, nil
}

// tokenOf is a token as calls use it.
func tokenOf(tok *oauth2.Token, began time.Time) *Token {
	b := &Token{header: []string{"Bearer " + tok.AccessToken}, expires: tok.Expiry}
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
