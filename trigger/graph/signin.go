package graph

import (
	"context"
	"errors"

	"pullprint/trigger/graph/auth"
)

// tokenSource provides the tokens of calls; *auth.App and *auth.Person implement it.
type tokenSource interface {
	// Token returns a live token. The error is an *auth.Error or ctx's.
	Token(ctx context.Context) (*auth.Token, error)
	// Renew returns another token than the one that Graph refused with 401, or nil when
	// another must not be fetched.
	Renew(ctx context.Context, refused *auth.Token) (*auth.Token, error)
	// Distrust notes that a token fetched because of a 401 got a 401 as well.
	Distrust()
}

// SignIn fetches a new token now, in one try of at most 10 seconds. The error is an *auth.Error
// or ctx's.
func (c *Client) SignIn(ctx context.Context) error {
	if c.app == nil {
		return c.KeepSignedIn(ctx)
	}
	return c.app.Fetch(ctx)
}

// KeepSignedIn fetches the next token when it is due, so that an idle process is as ready as a
// busy one. The error is an *auth.Error or ctx's.
func (c *Client) KeepSignedIn(ctx context.Context) error {
	_, err := c.tokens.Token(ctx)
	return err
}

// TokenFresh returns nil while a valid token is held, else why there is none.
func (c *Client) TokenFresh() error {
	if c.app == nil {
		return nil
	}
	return c.app.Fresh()
}

// SignInPerson signs a person in for some delegated permissions and returns a Client that acts
// for them: see auth.Person. The error is an *auth.Error, ctx's, or one of the configuration.
func SignInPerson(
	ctx context.Context, cfg Config, o Options, rights []string, show func(auth.Prompt),
) (*Client, error) {
	c, err := newPerson(cfg, o, rights)
	if err != nil {
		return nil, err
	}
	if err := c.person.SignIn(ctx, show); err != nil {
		return nil, err
	}
	return c, nil
}

// ResumePerson returns a Client that acts for the person whose sign-in is stored, with those
// delegated permissions. The error is auth.ErrNotStored, an *auth.Error if Entra no longer
// accepts the sign-in, or one of the files.
func ResumePerson(
	ctx context.Context, cfg Config, o Options, rights []string, from auth.StoredSignIn,
) (*Client, error) {
	c, err := newPerson(cfg, o, rights)
	if err != nil {
		return nil, err
	}
	if err := c.person.Resume(ctx, from); err != nil {
		return nil, err
	}
	return c, nil
}

// NewOpenID returns the sign-in of people by their browsers, who are sent back to the address
// redirect: see auth.OpenID. An error is permanent: fix the configuration.
func NewOpenID(cfg Config, o Options, redirect string) (*auth.OpenID, error) {
	_, ao, err := newClient(cfg, o)
	if err != nil {
		return nil, err
	}
	return auth.NewOpenID(cfg.Auth, ao, redirect)
}

// newPerson returns a Client for a person who has not signed in yet.
func newPerson(cfg Config, o Options, rights []string) (*Client, error) {
	c, ao, err := newClient(cfg, o)
	if err != nil {
		return nil, err
	}
	c.person = auth.NewPerson(cfg.Auth, ao, rights)
	c.tokens = c.person
	return c, nil
}

// StoreSignIn stores the sign-in of the person for whom this Client acts, now and whenever
// Entra renews it.
func (c *Client) StoreSignIn(in auth.StoredSignIn) error {
	if c.person == nil {
		return errors.New("nobody signed in")
	}
	return c.person.Store(in)
}

// SignInStored reports whether the stored sign-in is that of the person for whom this Client
// acts: see auth.Person.Stored.
func (c *Client) SignInStored(ctx context.Context) bool {
	return c.person != nil && c.person.Stored(ctx)
}
