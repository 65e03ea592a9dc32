package auth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"pullprint/trigger/graph/transport"
)

// Why an identity that Entra's token endpoint returned is not accepted.
var (
	// ErrIDToken says that an id token has another key, issuer, audience or nonce than it must
	// have, or lacks a claim.
	ErrIDToken = errors.New("the id token is not valid")
	// ErrTenant says that the person signed in to another tenant.
	ErrTenant = errors.New("the id token is of another tenant")
	// ErrClock says that the id token is not valid at the time that this machine's clock shows.
	ErrClock = errors.New("the id token is not valid at this time")
)

// maxOpenID bounds what is read of an answer to go-oidc, which reads all of it: Entra's
// configuration has 2 KiB, its keys 20 KiB.
const maxOpenID = 1 << 20

// Challenge is what one sign-in in a browser is bound to. Its values are secret until they are
// used.
type Challenge struct{ State, Nonce, Verifier string }

// SignInOptions say how Entra asks a person to sign in.
type SignInOptions struct {
	// Silent asks nobody anything: it fails unless the browser is signed in to Entra.
	Silent bool
	// Choose lets the person choose an account although the browser is signed in.
	Choose bool
	// Hint is the user name that is expected; may be empty.
	Hint string
}

// Identity is who signed in.
type Identity struct {
	// User is the Entra object id, in the form in which Entra writes it.
	User string
	// Roles are the roles of the app registration that the person has.
	Roles []string
}

// OpenID signs people in by their browsers with the authorization code flow, PKCE and a nonce
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow), and redeems
// codes with the credential of the app. It keeps no token. It is safe for concurrent use.
type OpenID struct {
	clientID, tenant, issuer, redirect string
	observe                            func(status int, err error, began time.Time)
	client                             *http.Client
	answers                            *answers

	turn       chan struct{} // holds a value while a call uses what follows; a mutex to wait for with a context
	credential clientCredential
	provider   *provider // nil until Entra has told its configuration
}

// provider is Entra's configuration.
type provider struct {
	auth, token, logout, keys string
	known                     atomic.Pointer[oidc.StaticKeySet] // the keys that were read last; nil for none
}

// NewOpenID returns the sign-in of people who are sent back to the address redirect. It reads
// the files of the credential and makes no request. An error is permanent: fix the configuration.
func NewOpenID(c Config, o Options, redirect string) (*OpenID, error) {
	if c.ManagedIdentity {
		return nil, errors.New("a managed identity can't sign people in: set another credential in auth")
	}
	credential, err := newClientCredential(c, o.TokenURL)
	if err != nil {
		return nil, err
	}
	if err := credential.read(time.Now()); err != nil {
		return nil, err
	}
	seen := &answers{next: o.Transport}
	client := transport.Client(seen)
	return &OpenID{
		clientID: c.ClientID, tenant: o.TenantID, redirect: redirect,
		issuer:  strings.TrimSuffix(o.TokenURL, "/oauth2/v2.0/token") + "/v2.0",
		observe: o.Observe, client: client, answers: seen, turn: make(chan struct{}, 1), credential: credential,
	}, nil
}

// answers bounds the answers that it passes on, and remembers the clock of who gave them.
type answers struct {
	next  http.RoundTripper
	ahead atomic.Int64 // by how much our clock was ahead at the latest answer, in nanoseconds
}

// RoundTrip implements http.RoundTripper.
func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := a.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if ahead, told := transport.Skew(resp.Header); told {
		a.ahead.Store(int64(ahead))
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxOpenID), resp.Body}
	return resp, nil
}

// discover returns Entra's configuration, which is asked for until it was told once.
func (o *OpenID) discover(ctx context.Context) (*provider, error) {
	select {
	case o.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-o.turn }()
	if o.provider != nil {
		return o.provider, nil
	}
	began := time.Now()
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, o.client), o.issuer)
	if err != nil {
		return nil, o.failed(err, began)
	}
	var more struct {
		Keys   string `json:"jwks_uri"`
		Logout string `json:"end_session_endpoint"`
	}
	at := found.Endpoint()
	if err := found.Claims(&more); err != nil || !o.ours(at.TokenURL) || !o.ours(more.Keys) || !o.ours(at.AuthURL) {
		return nil, o.failed(transport.ErrNotJSON, began)
	}
	if !o.ours(more.Logout) {
		more.Logout = ""
	}
	o.provider = &provider{auth: at.AuthURL, token: at.TokenURL, logout: more.Logout, keys: more.Keys}
	return o.provider, nil
}

// ours reports whether an address has the host of the configured authority: the credential of
// the app goes to no other, and people are sent to no other.
func (o *OpenID) ours(address string) bool {
	want, err := url.Parse(o.issuer)
	got, err2 := url.Parse(address)
	return err == nil && err2 == nil && got.Scheme == want.Scheme && got.Host == want.Host && got.User == nil
}

// failed makes an *Error of the error of a request.
func (o *OpenID) failed(err error, began time.Time) error {
	e := errorOf(err)
	o.observe(e.Status, e.Err, began)
	return e
}

// URL is where a browser has to go to sign in. The error is an *Error or ctx's.
func (o *OpenID) URL(ctx context.Context, c Challenge, how SignInOptions) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, transport.TryTimeout)
	defer cancel()
	p, err := o.discover(ctx)
	if err != nil {
		return "", err
	}
	with := []oauth2.AuthCodeOption{
		oidc.Nonce(c.Nonce), oauth2.S256ChallengeOption(c.Verifier), oauth2.SetAuthURLParam("response_mode", "query"),
	}
	switch {
	case how.Silent:
		with = append(with, oauth2.SetAuthURLParam("prompt", "none"))
	case how.Choose:
		with = append(with, oauth2.SetAuthURLParam("prompt", "select_account"))
	}
	if how.Hint != "" {
		with = append(with, oauth2.SetAuthURLParam("login_hint", how.Hint))
	}
	return o.config(p).AuthCodeURL(c.State, with...), nil
}

// config asks for profile too: without it an id token has no oid
// (https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference).
func (o *OpenID) config(p *provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: o.clientID, RedirectURL: o.redirect, Scopes: []string{oidc.ScopeOpenID, "profile"},
		Endpoint: oauth2.Endpoint{AuthURL: p.auth, TokenURL: p.token, AuthStyle: oauth2.AuthStyleInParams},
	}
}

// SignOutURL is Entra's page to sign out of everything; empty if it is not known yet.
func (o *OpenID) SignOutURL(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, transport.TryTimeout)
	defer cancel()
	if p, err := o.discover(ctx); err == nil {
		return p.logout
	}
	return ""
}

// refusals are the OAuth error codes of the authorization endpoint
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow,
// https://openid.net/specs/openid-connect-core-1_0.html#AuthError).
var refusals = []string{
	"invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope",
	"server_error", "temporarily_unavailable", "invalid_resource", "invalid_client", "login_required",
	"consent_required", "interaction_required", "account_selection_required",
}

// Refused is what Entra said to the browser instead of giving it a code; nil if it gave one. What
// it says in words, or by a code that is none of Entra's, is not repeated: anybody can write it into an address.
func Refused(query url.Values) *Error {
	kind := query.Get("error")
	if kind == "" {
		return nil
	}
	e := &Error{Status: http.StatusBadRequest, Code: aadsts.FindString(query.Get("error_description"))}
	if e.Code == "" && slices.Contains(refusals, kind) {
		e.Code = kind
	}
	return e
}

// Redeem returns who signed in, for the code that Entra gave to the browser. The error is an
// *Error, ErrIDToken, ErrTenant, ErrClock, or ctx's.
func (o *OpenID) Redeem(ctx context.Context, code string, c Challenge) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, transport.TryTimeout)
	defer cancel()
	p, err := o.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	began := time.Now()
	conf, with, err := o.authenticated(ctx, p)
	if err != nil {
		return Identity{}, err
	}
	token, err := conf.Exchange(context.WithValue(ctx, oauth2.HTTPClient, o.client), code,
		append(with, oauth2.VerifierOption(c.Verifier))...)
	if err != nil {
		return Identity{}, o.failed(err, began)
	}
	o.observe(http.StatusOK, nil, began)
	raw, _ := token.Extra("id_token").(string)
	return o.identity(ctx, p, raw, c.Nonce)
}

// authenticated is the configuration with the credential of the app, read again.
func (o *OpenID) authenticated(ctx context.Context, p *provider) (*oauth2.Config, []oauth2.AuthCodeOption, error) {
	select {
	case o.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	defer func() { <-o.turn }()
	now := time.Now()
	_ = o.credential.read(now) // what was read before stays in use; App logs it
	secret, more, err := o.credential.parameters(now)
	if err != nil {
		return nil, nil, &Error{Err: err}
	}
	conf := o.config(p)
	conf.ClientSecret = secret
	var with []oauth2.AuthCodeOption
	for name := range more {
		with = append(with, oauth2.SetAuthURLParam(name, more.Get(name)))
	}
	return conf, with, nil
}

// identity verifies an id token
// (https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference).
func (o *OpenID) identity(ctx context.Context, p *provider, raw, nonce string) (Identity, error) {
	keys := &keySet{openID: o, provider: p}
	// go-oidc has no error for a token that is not valid yet: the time is looked at here.
	config := &oidc.Config{ClientID: o.clientID, SkipExpiryCheck: true}
	token, err := oidc.NewVerifier(o.issuer, keys, config).Verify(ctx, raw)
	var claims struct {
		Tenant    string   `json:"tid"`
		User      string   `json:"oid"`
		Roles     []string `json:"roles"`
		Presenter string   `json:"azp"`
		NotBefore float64  `json:"nbf"`
	}
	switch now := time.Now(); {
	case keys.failed != nil:
		return Identity{}, keys.failed
	case err != nil, token.Claims(&claims) != nil, nonce == "" || token.Nonce != nonce, claims.User == "":
		return Identity{}, ErrIDToken
	case len(token.Audience) != 1, claims.Presenter != "" && claims.Presenter != o.clientID:
		return Identity{}, ErrIDToken // https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation, 3 to 5
	case !strings.EqualFold(claims.Tenant, o.tenant):
		return Identity{}, ErrTenant
	case token.Expiry.Before(now), claims.NotBefore > float64(now.Add(maxSkew).Unix()):
		return Identity{}, ErrClock
	}
	return Identity{User: claims.User, Roles: claims.Roles}, nil
}

// maxSkew is how much earlier than its time an id token is taken, as go-oidc and Microsoft's own
// libraries do.
const maxSkew = 5 * time.Minute

// ClockAhead is by how much the clock of this machine was ahead of Entra's at its latest answer.
func (o *OpenID) ClockAhead() time.Duration { return time.Duration(o.answers.ahead.Load()) }
