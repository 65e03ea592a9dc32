package auth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/oauth2"

	"pullprint/trigger/graph/transport"
)

// Prompt is what a person has to do to sign in.
type Prompt struct {
	// URL is the page to open, Code what to enter there.
	URL, Code string
	// Expires is the end of the validity of the code.
	Expires time.Time
}

// deviceHints are hints for the device code flow, where they differ from those for an app.
var deviceHints = map[string]string{
	"AADSTS7000218": "the app registration does not allow this sign-in: under Authentication, set Allow public client " +
		"flows to Yes",
	"AADSTS65001": "consent is missing: grant admin consent to the delegated permissions that are asked for " +
		"(Printer.Read.All and Printer.ReadWrite.All; PrinterShare.ReadWrite.All with queues[].create; Reports.Read.All " +
		"for usage)",
	"AADSTS53003": "a Conditional Access policy blocks the device code flow: sign in from where it is allowed, or " +
		"have it excepted",
	"AADSTS90094": "consent is missing: grant admin consent to the delegated permissions that are asked for (the page " +
		"on the app registration lists them)",
	"AADSTS530032": "a security policy of the tenant blocks the device code flow: have it excepted for who signs in " +
		"and this app, for as long as it takes",
	"AADSTS53004": "a Conditional Access policy blocks the device code flow: sign in from where it is allowed, or have " +
		"it excepted",
}

// signInAgain is the hint when Entra no longer accepts a stored sign-in: it expired, the
// password was changed, or an administrator revoked it.
const signInAgain = "the sign-in is no longer valid: sign in again with `pullprint register plan --keep`"

// Person provides the tokens of a person who signed in, for delegated permissions. It is safe
// for concurrent use once SignIn or Resume has returned.
type Person struct {
	conf    oauth2.Config
	client  *http.Client
	observe func(status int, err error, began time.Time)
	bound   []byte // the tenant and app that a stored sign-in is bound to
	log     *zap.Logger

	turn    chan struct{} // holds a value while a call uses what follows; a mutex to wait for with a context
	refresh string        // the refresh token
	token   *Token
	store   StoredSignIn
	stored  string // the refresh token that was stored last
}

// NewPerson returns the source of the tokens of a person who has not signed in yet: call SignIn
// or Resume. Permissions have their names in Graph, as Printer.Read.All.
func NewPerson(c Config, o Options, permissions []string) *Person {
	scopes := []string{"offline_access"}
	for _, p := range permissions {
		scopes = append(scopes, o.Resource+"/"+p)
	}
	return &Person{
		conf: oauth2.Config{
			ClientID: c.ClientID, Scopes: scopes,
			Endpoint: oauth2.Endpoint{
				DeviceAuthURL: strings.TrimSuffix(o.TokenURL, "/token") + "/devicecode", TokenURL: o.TokenURL,
				AuthStyle: oauth2.AuthStyleInParams,
			},
		},
		client:  transport.Client(o.Transport),
		observe: o.Observe,
		bound:   binding(o.TenantID, c.ClientID),
		log:     o.Logger,
		turn:    make(chan struct{}, 1),
	}
}

// SignIn signs the person in with a device code
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code): it calls show
// with what they have to do, and waits until they have done it. The tokens stay in memory
// unless Store is called. The error is an *Error or ctx's.
func (p *Person) SignIn(ctx context.Context, show func(Prompt)) error {
	began := time.Now()
	octx := context.WithValue(ctx, oauth2.HTTPClient, p.client)
	var token *oauth2.Token
	code, err := p.conf.DeviceAuth(octx)
	if err == nil {
		show(Prompt{code.VerificationURI, code.UserCode, code.Expiry})
		token, err = p.conf.DeviceAccessToken(octx, code)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = &Error{Code: "expired_token", Hint: hints["expired_token"], Status: http.StatusBadRequest}
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && !printable(token.AccessToken):
		err = transport.ErrNotJSON
	}
	if err != nil {
		return p.failed(err, began)
	}
	p.observe(http.StatusOK, nil, began)
	p.refresh, p.token = token.RefreshToken, tokenOf(token, began)
	return nil
}

// failed makes an *Error with a hint of the error of a sign-in.
func (p *Person) failed(err error, began time.Time) error {
	var e *Error
	if !errors.As(err, &e) {
		e = errorOf(err)
	}
	if hint, ok := deviceHints[e.Code]; ok {
		e.Hint = hint
	}
	p.observe(e.Status, e.Err, began)
	return e
}

// Token returns a valid token. One call at a time renews it; the others wait as long as their
// contexts last. The error is an *Error or ctx's.
func (p *Person) Token(ctx context.Context) (*Token, error) {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-p.turn }()
	if p.token.live(time.Now().Add(expiryMargin)) {
		return p.token, nil
	}
	began := time.Now()
	token, err := p.conf.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, p.client),
		&oauth2.Token{RefreshToken: p.refresh}).Token()
	if err == nil && !printable(token.AccessToken) {
		err = transport.ErrNotJSON
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var e *Error
		if err = p.failed(err, began); errors.As(err, &e) && e.Permanent() && e.Hint == "" {
			e.Hint = signInAgain
		}
		return nil, err
	}
	p.observe(http.StatusOK, nil, began)
	p.refresh, p.token = token.RefreshToken, tokenOf(token, began)
	p.storeRenewed()
	return p.token, nil
}

// Renew returns nil: a token of a person that Graph refuses is not fetched again.
func (p *Person) Renew(context.Context, *Token) (*Token, error) { return nil, nil }

// Distrust does nothing: see Renew.
func (p *Person) Distrust() {}

// Store stores the sign-in, now and whenever Entra renews it.
func (p *Person) Store(in StoredSignIn) error {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if p.refresh == "" {
		return errors.New("entra gave no refresh token: the tenant does not let sign-ins be kept")
	}
	p.store = in
	err := in.write(p.bound, p.refresh)
	if err == nil {
		p.stored = p.refresh
	}
	return err
}

// Stored reports whether the stored sign-in is the one that this Person uses, or can't be read
// while ctx lasts. It is not after somebody signed in anew, or removed it.
func (p *Person) Stored(ctx context.Context) bool {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return true
	}
	defer func() { <-p.turn }()
	return p.isStored()
}

// isStored is Stored for a caller that holds the turn.
func (p *Person) isStored() bool {
	now, err := p.store.read(p.bound)
	return err == nil && now == p.stored || err != nil && !errors.Is(err, ErrNotStored)
}

// Resume signs the person in whose sign-in is stored. The error is ErrNotStored, an *Error if
// Entra no longer accepts it, or one of the files.
func (p *Person) Resume(ctx context.Context, from StoredSignIn) error {
	refresh, err := from.read(p.bound)
	if err != nil {
		return err
	}
	p.store, p.refresh, p.stored = from, refresh, refresh
	ctx, cancel := context.WithTimeout(ctx, transport.TryTimeout)
	defer cancel()
	_, err = p.Token(ctx)
	return err
}

// storeRenewed stores the refresh token that a renewal returned. It replaces only the one that
// this Person stored before: a sign-in that was stored since then stays, and one that was
// removed stays removed. A failure is logged; the stored one remains valid.
func (p *Person) storeRenewed() {
	if !p.store.Configured() || p.refresh == "" || p.refresh == p.stored || !p.isStored() {
		return
	}
	if err := p.store.write(p.bound, p.refresh); err != nil {
		p.log.Warn("renewed sign-in not stored, the previous one stays valid", zap.Error(err))
		return
	}
	p.stored = p.refresh
}
