package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"pullprint/connector/store"
)

// cookieName is the name of the cookie of a session that a token began; its path tells the
// console's from a station's.
const cookieName = "pullprint_session"

// maxCookies is how many of those cookies a browser can have: that of the console and that of a
// station. Further ones are ignored, because each costs a read.
const maxCookies = 2

// checkedFor is how long a person who signed in is believed to be one still, with their roles:
// then Entra is asked again. A role that is taken away ends with it.
const checkedFor = 15 * time.Minute

// KV is where sessions are stored; *stored.KV is one.
type KV interface {
	store.KV
	Delete(ctx context.Context, key string, revision uint64) (bool, error)
}

// Sessions stores who is signed in where, shared by all replicas and across restarts. A session
// that a token began ends when the token is removed; one of a person when they sign out, at
// whichever browser.
type Sessions struct {
	store  KV
	tokens *Tokens
	people *Config // set by NewSignIn; nil unless people sign in with Entra
}

// NewSessions are the sessions in a store that tokens have begun.
func NewSessions(kv KV, tokens *Tokens) *Sessions { return &Sessions{store: kv, tokens: tokens} }

// session is what is stored of one.
type session struct {
	Name   string    `json:"name"`
	Role   Role      `json:"role,omitempty"`
	Device string    `json:"device,omitempty"`
	Token  string    `json:"token,omitempty"` // tag of the token; empty for a person
	Until  time.Time `json:"until"`
	// Checked is when Entra last said that it is the person of the object id Name, Began the
	// sign-out after which the session was begun.
	Checked time.Time `json:"checked,omitzero"`
	Began   string    `json:"began,omitempty"`
}

func (v *session) person() bool { return !v.Checked.IsZero() }

func (v *session) caller() Caller {
	c := Caller{Name: v.Name, Role: v.Role, Device: v.Device}
	if v.person() {
		c.Person = v.Name
	}
	return c
}

// sessionKey is where the session of a cookie is stored; the cookie itself is not.
func sessionKey(cookie string) string {
	sum := sha256.Sum256([]byte(cookie))
	return "session." + hex.EncodeToString(sum[:])
}

// FormToken is the token that a form has, without the spaces and line ends that were pasted
// with it.
func FormToken(req *http.Request) string { return strings.TrimSpace(req.PostFormValue("token")) }

// SignIn begins a session of a caller, whose token the form of req has, and gives the
// browser a cookie for a path.
func (s *Sessions) SignIn(rw http.ResponseWriter, req *http.Request, c Caller, path string, life time.Duration) error {
	id, err := s.begin(req.Context(), session{
		Name: c.Name, Role: c.Role, Device: c.Device, Token: tagOf(FormToken(req)), Until: time.Now().Add(life),
	})
	if err != nil {
		return err
	}
	http.SetCookie(rw, &http.Cookie{ //nolint:gosec // Secure wherever TLS ends here; a proxy on this machine may end it
		Name: cookieName, Value: id, Path: path, MaxAge: int(life / time.Second), HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: req.TLS != nil,
	})
	return nil
}

// begin stores a session under a new id.
func (s *Sessions) begin(ctx context.Context, v session) (id string, err error) {
	id = rand.Text()
	raw, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode session: %w", err)
	}
	ttl := max(time.Until(v.Until), time.Second) // one that has ended meanwhile: without a ttl it would be kept for ever
	if _, ok, err := s.store.CompareAndSet(ctx, sessionKey(id), raw, 0, ttl); err != nil {
		return "", fmt.Errorf("store session: %w", err)
	} else if !ok {
		return "", errors.New("store session: its key is taken")
	}
	return id, nil
}

// read is the session of a cookie; ok is false when there is none that goes on.
func (s *Sessions) read(ctx context.Context, cookie string) (v session, ok bool, err error) {
	raw, revision, err := s.store.Get(ctx, sessionKey(cookie))
	if err != nil {
		return v, false, err
	}
	if revision == 0 || json.Unmarshal(raw, &v) != nil { // one that is damaged is none: else the browser were of no use
		return v, false, nil
	}
	return v, time.Now().Before(v.Until), nil
}

// end removes the session of a cookie.
func (s *Sessions) end(ctx context.Context, cookie string) error {
	key := sessionKey(cookie)
	_, revision, err := s.store.Get(ctx, key)
	if err == nil && revision != 0 {
		_, err = s.store.Delete(ctx, key, revision)
	}
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

func cookiesOf(req *http.Request) []*http.Cookie {
	all := req.CookiesNamed(cookieName)
	return all[:min(len(all), maxCookies)]
}

// Who returns who is signed in, as the first session that fits says: that of a person whom
// Entra has confirmed, then those of tokens. A browser may send the cookie of the console and
// that of a station.
func (s *Sessions) Who(req *http.Request, fits func(Caller) bool) (Caller, bool, error) {
	if who, state, err := s.Person(req); err != nil || state == Confirmed && fits(who) {
		return who, err == nil, err
	}
	for _, c := range cookiesOf(req) {
		v, ok, err := s.read(req.Context(), c.Value)
		if err != nil {
			return Caller{}, false, err
		}
		if !ok || v.person() || !s.tokens.holds(v.Token) {
			continue
		}
		if who := v.caller(); fits(who) {
			return who, true, nil
		}
	}
	return Caller{}, false, nil
}

// SignOut ends the sessions of a browser that tokens began.
func (s *Sessions) SignOut(req *http.Request) error {
	for _, c := range cookiesOf(req) {
		if err := s.end(req.Context(), c.Value); err != nil {
			return err
		}
	}
	return nil
}
