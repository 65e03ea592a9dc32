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
)

// cookieName is the name of the cookie of a session; its path tells the console's from a
// station's.
const cookieName = "pullprint_session"

// maxCookies is how many of our cookies a browser can have: that of the console and that of a
// station. Further ones are ignored, because each costs a read.
const maxCookies = 2

// KV is where sessions are stored. A value is removed when its ttl is over.
type KV interface {
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	CompareAndSet(
		ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
	) (newRevision uint64, swapped bool, err error)
	Delete(ctx context.Context, key string, revision uint64) (bool, error)
}

// Sessions stores who is signed in where, shared by all replicas and across restarts. A
// session ends when the token that began it is removed.
type Sessions struct {
	store  KV
	tokens *Tokens
}

// NewSessions are the sessions in a store that tokens have begun.
func NewSessions(store KV, tokens *Tokens) *Sessions { return &Sessions{store, tokens} }

// session is what is stored of one.
type session struct {
	Name   string    `json:"name"`
	Role   Role      `json:"role,omitempty"`
	Device string    `json:"device,omitempty"`
	Token  string    `json:"token"` // tag of the token
	Until  time.Time `json:"until"`
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
	id := rand.Text()
	v := session{
		Name: c.Name, Role: c.Role, Device: c.Device, Token: tagOf(FormToken(req)), Until: time.Now().Add(life),
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode session: %w", err)
	}
	if _, ok, err := s.store.CompareAndSet(req.Context(), sessionKey(id), raw, 0, life); err != nil {
		return fmt.Errorf("store session: %w", err)
	} else if !ok {
		return errors.New("store session: its key is taken")
	}
	http.SetCookie(rw, &http.Cookie{ //nolint:gosec // Secure wherever TLS ends here; a proxy on this machine may end it
		Name: cookieName, Value: id, Path: path, MaxAge: int(life / time.Second), HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: req.TLS != nil,
	})
	return nil
}

func cookiesOf(req *http.Request) []*http.Cookie {
	all := req.CookiesNamed(cookieName)
	return all[:min(len(all), maxCookies)]
}

// Who returns who is signed in, as the first session that fits says; a browser may send the
// cookie of the console and that of a station.
func (s *Sessions) Who(req *http.Request, fits func(Caller) bool) (Caller, bool, error) {
	for _, c := range cookiesOf(req) {
		raw, revision, err := s.store.Get(req.Context(), sessionKey(c.Value))
		if err != nil {
			return Caller{}, false, err
		}
		var v session
		if revision == 0 || json.Unmarshal(raw, &v) != nil { // one that is damaged is none: else the browser were of no use
			continue
		}
		if !time.Now().Before(v.Until) || !s.tokens.holds(v.Token) {
			continue
		}
		if who := (Caller{Name: v.Name, Role: v.Role, Device: v.Device}); fits(who) {
			return who, true, nil
		}
	}
	return Caller{}, false, nil
}

// SignOut ends the sessions of a browser.
func (s *Sessions) SignOut(req *http.Request) error {
	for _, c := range cookiesOf(req) {
		key := sessionKey(c.Value)
		_, revision, err := s.store.Get(req.Context(), key)
		if err == nil && revision != 0 {
			_, err = s.store.Delete(req.Context(), key, revision)
		}
		if err != nil {
			return fmt.Errorf("end session: %w", err)
		}
	}
	return nil
}
