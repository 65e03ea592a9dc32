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
	earlyTimeout   = 3 * time.Second  // for an early refresh, since a call waits for it
	earlyRetry     = 30 * time.Second // between early refreshes that fail
	expiryMargin   = 10 * time.Second // a request with the token may take this long to arrive
	distrustPeriod = 10 * time.Second // without further fetches after Graph refused a new token too
	unknownLife    = 5 * time.Minute  // of a token that does not tell its end
)

// Token is an access token. It is immutable.
type Token struct {
	header           []string  // of Authorization; shared, never written to
	refresh, expires time.Time // when to fetch the next one, and when this one ends
}

func (t *Token) live(now time.Time) bool { return t != nil && now.Before(t.expires) }

// Header returns the value of the header Authorization. It must not be changed.
func (t *Token) Header() []string { return t.header }

// App holds one valid token of the app, from the client credentials flow
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow). At
// 80 % of the life of a token one call fetches the next, while the others continue to use the
// current one, which stays in use if that fails. Without a valid token all calls wait for one
// fetch. App starts no goroutine and is safe for concurrent use.
type App struct {
	fetcher tokenFetcher
	observe func(status int, err error, began time.Time)
	log     *zap.Logger

	current   atomic.Pointer[Token]
	nextEarly atomic.Int64 // Unix nanoseconds: no early refresh before
	distrust  atomic.Int64 // Unix nanoseconds: no fetch because of a 401 before

	mu     sync.Mutex // guards what follows
	flight *flight    // the fetch under way, nil for none
	failed error      // of the last fetch
	pause  time.Time  // the authority asked for no request before
}

// flight is a fetch under way. It is not a singleflight.Group, which would run it in a
// goroutine of its own: the first caller fetches with its own context, and if that ends,
// another of those who wait takes over.
type flight struct {
	done      chan struct{}
	token     *Token
	err       error
	abandoned bool // its caller gave up, which says nothing about the authority
}

// Options are what the client of Graph provides to a source of tokens. All are required.
type Options struct {
	// TenantID is the directory (tenant) id, Resource the base URL of Graph in its cloud, as
	// https://graph.microsoft.com, and TokenURL the token endpoint of the authority.
	TenantID, Resource, TokenURL string
	Transport                    http.RoundTripper
	Logger                       *zap.Logger
	// Observe is called after each request for a token, with the status of the answer or the
	// error without one, and the time when it began.
	Observe func(status int, err error, began time.Time)
}

// NewApp returns the source of the tokens of an app. It reads the files of the credential and
// makes no request. An error is permanent: fix the configuration.
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

// Fetch fetches a token now, in one try of at most 10 seconds. The error is an *Error or ctx's.
func (a *App) Fetch(ctx context.Context) error {
	_, err := a.fetched(ctx, func(*Token) bool { return false })
	return err
}

// Fresh returns nil while a valid token is held, else why there is none.
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

// Token returns a valid token. The error is an *Error or ctx's.
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

// Renew returns another token than the one that Graph refused with 401, or nil if no other may
// be fetched yet.
func (a *App) Renew(ctx context.Context, stale *Token) (*Token, error) {
	if time.Now().UnixNano() < a.distrust.Load() {
		return nil, nil
	}
	return a.fetched(ctx, func(b *Token) bool { return b != stale && b.live(time.Now()) })
}

// Distrust records that a token fetched because of a 401 was answered with 401 too. The token
// is not the cause, so no other is fetched because of a 401 for a while.
func (a *App) Distrust() { a.distrust.Store(time.Now().Add(distrustPeriod).UnixNano()) }

// early fetches the next token, unless another call is doing so. It returns the current one if
// that fails.
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

// fetched returns the current token if it is good, else fetches one for all callers that want
// one now.
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

// join returns the fetch under way, or begins one that the caller has to lead. It returns nil
// if the current token is good.
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

// lead fetches for all who joined f. After a panic, f counts as abandoned by its leader, and
// the others fetch themselves.
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

// landed publishes the result of f.
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

// paused returns the error of the last fetch during the pause that the authority asked for by
// Retry-After.
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

// fetch makes one request to the authority. Only the leader of a flight calls it.
func (a *App) fetch(ctx context.Context) (*Token, error) {
	began := time.Now()
	tok, err := a.fetcher.fetch(ctx, began)
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

// tokenOf makes a Token of what the authority returned.
func tokenOf(tok *oauth2.Token, began time.Time) *Token {
	b := &Token{header: []string{"Bearer " + tok.AccessToken}, expires: tok.Expiry}
	if b.expires.IsZero() {
		b.expires = began.Add(unknownLife)
	}
	b.refresh = began.Add(b.expires.Sub(began) * 4 / 5)
	return b
}

// printable reports whether s can be part of a header.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}
