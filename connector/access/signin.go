package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
)

// Provider is Entra, for people who sign in; *auth.OpenID is one.
type Provider interface {
	URL(ctx context.Context, c auth.Challenge, how auth.SignInOptions) (string, error)
	Redeem(ctx context.Context, code string, c auth.Challenge) (auth.Identity, error)
	SignOutURL(ctx context.Context) string
	ClockAhead() time.Duration
}

// Directory tells what Graph knows of a person; *graph.Client is one.
type Directory interface {
	User(ctx context.Context, user string) (found graph.User, ok bool, err error)
	MemberOf(ctx context.Context, user string, groups []string) ([]string, error)
}

// maxRedeeming is how many codes are redeemed at once. Each is a request to Entra of a second or
// less, so this is more sign-ins than the people of an office begin in a morning; whoever sends codes
// of their own uses up no more.
const maxRedeeming = 16

// directoryWithin is how long Graph is waited for while a person signs in.
const directoryWithin = 5 * time.Second

// SignIn signs people in with Entra. Each of its errors that a person can do something about is a
// *Refusal.
type SignIn struct {
	config    Config
	provider  Provider
	directory Directory
	sessions  *Sessions
	seal      sealer
	redeeming *semaphore.Weighted
	tried     tried
}

// NewSignIn begins sessions of people whom a provider tells. From then on s knows people.
func NewSignIn(c Config, p Provider, d Directory, s *Sessions) *SignIn {
	s.people = &c
	return &SignIn{
		config: c, provider: p, directory: d, sessions: s, seal: sealer{store: s.store},
		redeeming: semaphore.NewWeighted(maxRedeeming),
	}
}

// Asked is how a sign-in is asked for.
type Asked struct {
	// Then is the page of ours to go to afterwards.
	Then string
	// Silent confirms the session of the browser, without asking the person; Choose lets them choose
	// another account.
	Silent, Choose bool
}

// signInPath is where a browser begins a sign-in.
const signInPath = "/auth/sign-in"

// Path is the address of ours that begins a sign-in.
func (a Asked) Path() string {
	q := url.Values{"then": {ownPath(a.Then)}}
	if a.Silent {
		q.Set("silent", "1")
	}
	if a.Choose {
		q.Set("choose", "1")
	}
	return signInPath + "?" + q.Encode()
}

// askedOf is the inverse of Path.
func askedOf(q url.Values) Asked {
	return Asked{Then: ownPath(q.Get("then")), Silent: q.Has("silent"), Choose: q.Has("choose")}
}

// ownPath is an address that leads to a page of ours, for whatever it was made of: nobody can have
// a sign-in end at another site, or begin the next.
func ownPath(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || strings.ContainsAny(address, "\\\r\n\t") {
		return "/"
	}
	at := (&url.URL{Path: path.Clean("/" + u.Path), RawQuery: u.RawQuery}).String()
	if strings.HasPrefix(at, "/auth/") || len(at) > maxThen {
		return "/"
	}
	return at
}

// maxThen bounds the address of the page to go to: browsers keep no cookie above 4 KiB.
const maxThen = 1 << 10

// Begin sends a browser to Entra. Nothing is stored.
func (s *SignIn) Begin(rw http.ResponseWriter, req *http.Request) error {
	asked := askedOf(req.URL.Query())
	how := auth.SignInOptions{Silent: asked.Silent, Choose: asked.Choose}
	if asked.Silent {
		how.Hint = s.hint(req)
	}
	p := pending{
		Challenge: auth.Challenge{State: rand.Text(), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text()},
		Then:      asked.Then, Silent: asked.Silent, Until: time.Now().Add(pendingFor),
	}
	sealed, err := s.seal.seal(req.Context(), p)
	if err != nil {
		return err
	}
	old, err := s.surplus(req, len(sealed))
	if err != nil {
		return err
	}
	to, err := s.provider.URL(req.Context(), p.Challenge, how)
	if err != nil {
		return s.refusal(err)
	}
	for _, name := range old {
		s.config.setCookie(rw, name, "", -time.Second)
	}
	s.config.setCookie(rw, p.cookie(), sealed, pendingFor)
	http.Redirect(rw, req, to, http.StatusSeeOther)
	return nil
}

// hint is the user name of who is signed in, so that Entra need not ask which of several accounts
// of the browser is meant; empty when Graph does not tell in time.
func (s *SignIn) hint(req *http.Request) string {
	who, state, err := s.sessions.Person(req)
	if err != nil || state == Nobody {
		return ""
	}
	ctx, cancel := context.WithTimeout(req.Context(), directoryWithin)
	defer cancel()
	u, _, _ := s.directory.User(ctx, who.Person)
	return u.UserPrincipalName
}

// Finish takes a browser back from Entra, begins the session, and leads to the page that was asked for.
func (s *SignIn) Finish(rw http.ResponseWriter, req *http.Request) error {
	p, err := s.pending(rw, req)
	if err != nil {
		return err
	}
	q := req.URL.Query()
	if refused := auth.Refused(q); refused != nil {
		if p.Silent && refused.Permanent() {
			return s.askAgain(rw, req, Asked{Then: p.Then})
		}
		return s.refusal(refused)
	}
	if q.Get("code") == "" {
		return s.refusal(errNoCode)
	}
	who, err := s.redeem(req.Context(), q.Get("code"), p)
	if err != nil {
		return s.refusal(err)
	}
	return s.finish(rw, req, p, who)
}

// redeem is who signed in, for the code that Entra gave to the browser. Entra is asked once for a sign-in
// that was begun, however many codes come with it.
func (s *SignIn) redeem(ctx context.Context, code string, p pending) (auth.Identity, error) {
	if !s.redeeming.TryAcquire(1) {
		return auth.Identity{}, errBusy
	}
	defer s.redeeming.Release(1) // also after a panic
	if !s.tried.first(p.State, time.Now()) {
		return auth.Identity{}, errUsed
	}
	return s.provider.Redeem(ctx, code, p.Challenge)
}

// askAgain ends the session of a browser that could not be confirmed, and lets the person sign in anew.
func (s *SignIn) askAgain(rw http.ResponseWriter, req *http.Request, how Asked) error {
	if _, cookie, state, err := s.sessions.person(req); err != nil {
		return err
	} else if state != Nobody {
		if err := s.sessions.end(req.Context(), cookie); err != nil {
			return err
		}
	}
	s.config.setCookie(rw, personCookie, "", -time.Second)
	http.Redirect(rw, req, how.Path(), http.StatusSeeOther)
	return nil
}

// finish begins the session of a person. One that was silent goes on with the session that the
// browser has, under a new id and until the same time; it begins none.
func (s *SignIn) finish(rw http.ResponseWriter, req *http.Request, p pending, who auth.Identity) error {
	ctx := req.Context()
	person, ok := graph.CanonicalGUID(who.User)
	if !ok {
		return s.refusal(auth.ErrIDToken)
	}
	ended, err := s.sessions.signedOut(ctx, person)
	if err != nil {
		return err
	}
	before, cookie, state, err := s.sessions.person(req)
	if err != nil {
		return err
	}
	switch {
	case p.Silent && state == Nobody: // signed out meanwhile: the page asks
		http.Redirect(rw, req, p.Then, http.StatusSeeOther)
		return nil
	case p.Silent && before.Name != person:
		return s.askAgain(rw, req, Asked{Then: p.Then, Choose: true})
	}
	if err := s.useUp(ctx, p); err != nil {
		return err
	}
	role, err := s.role(ctx, person, who.Roles)
	if err != nil {
		return s.refusal(err)
	}
	now := time.Now()
	v := session{Name: person, Role: role, Until: now.Add(s.config.Session), Checked: now, Began: ended}
	if p.Silent {
		v.Until, v.Began = before.Until, before.Began
	}
	id, err := s.sessions.begin(ctx, v)
	if err != nil {
		return err
	}
	if cookie != "" {
		if err := s.sessions.end(ctx, cookie); err != nil {
			return err
		}
	}
	s.config.setCookie(rw, personCookie, id, time.Until(v.Until))
	http.Redirect(rw, req, p.Then, http.StatusSeeOther)
	return nil
}

// useUp notes that a sign-in was finished: it can't be a second time.
func (s *SignIn) useUp(ctx context.Context, p pending) error {
	sum := sha256.Sum256([]byte(p.State))
	_, ok, err := s.seal.store.CompareAndSet(ctx, "sign-in.used."+hex.EncodeToString(sum[:]), []byte("1"), 0, pendingFor)
	if err != nil {
		return fmt.Errorf("store sign-in: %w", err)
	}
	if !ok {
		return s.refusal(errUsed)
	}
	return nil
}

// role is the highest role of a person, by the roles that the id token has or by the groups that
// give more. The claim groups is not asked for: it lacks what is too long
// (https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference#groups-overage-claim).
func (s *SignIn) role(ctx context.Context, person string, roles []string) (Role, error) {
	ctx, cancel := context.WithTimeout(ctx, directoryWithin)
	defer cancel()
	role := s.config.Roles.appRole(roles)
	// When Graph does not answer, who has an app role can look why.
	if _, known, err := s.directory.User(ctx, person); err == nil && !known {
		return "", errUnknownPerson
	}
	ids := s.config.Roles.groups(role)
	if len(ids) == 0 {
		return role, nil
	}
	in, err := s.directory.MemberOf(ctx, person, ids)
	switch {
	case err != nil && role == "":
		return "", fmt.Errorf("%w: %w", errNoGroups, err)
	case err != nil:
		return role, nil
	}
	if more := s.config.Roles.groupRole(in); more != "" {
		role = more
	}
	return role, nil
}

// SignOutURL is Entra's page to sign out of everything; empty if it is not known.
func (s *SignIn) SignOutURL(ctx context.Context) string { return s.provider.SignOutURL(ctx) }

// refusal is an error as people get to see it.
func (s *SignIn) refusal(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return refusalOf(err, s.provider.ClockAhead())
}
