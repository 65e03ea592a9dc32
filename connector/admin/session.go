package admin

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

	"pullprint/connector"
)

// How long somebody stays signed in.
const (
	consoleLife = 8 * time.Hour
	stationLife = 365 * 24 * time.Hour
)

// cookieName is the cookie of the console; a station has one of its own.
const cookieName = "pullprint_session"

// Where sessions and visits are, by the hash of what the browser holds.
const (
	sessionPrefix = "session."
	visitPrefix   = "visit."
)

// sessions stores who is signed in where, shared by all replicas and across restarts. A
// session ends when the token that began it is removed.
type sessions struct {
	store  connector.StateKV
	tokens *Tokens
}

// session is what is stored of one.
type session struct {
	Name   string    `json:"name"`
	Role   Role      `json:"role,omitempty"`
	Device string    `json:"device,omitempty"`
	Token  string    `json:"token"` // tag of the token
	Until  time.Time `json:"until"`
}

// keyOf is where what belongs to a secret of a browser is stored; the secret is not.
func keyOf(prefix, id string) string {
	sum := sha256.Sum256([]byte(id))
	return prefix + hex.EncodeToString(sum[:])
}

// tokenIn is the token that a form has, without the spaces and line ends that were pasted with
// it.
func tokenIn(req *http.Request) string { return strings.TrimSpace(req.PostFormValue("token")) }

// signIn remembers a caller, who showed a token, and gives the browser a cookie for
// a path.
func (s *sessions) signIn(rw http.ResponseWriter, req *http.Request, c Caller, path string, life time.Duration) error {
	id := rand.Text()
	v := session{
		Name: c.Name, Role: c.Role, Device: c.Device, Token: tagOf(tokenIn(req)), Until: time.Now().Add(life),
	}
	if ok, err := swap(req.Context(), s.store, keyOf(sessionPrefix, id), v, 0, life); err != nil {
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

// maxCookies is how many of our cookies a browser can have: that of the console and that of a
// station. Further ones are ignored, because each costs a read.
const maxCookies = 2

func cookiesOf(req *http.Request) []*http.Cookie {
	all := req.CookiesNamed(cookieName)
	return all[:min(len(all), maxCookies)]
}

// who returns who is signed in; a browser may send the cookie of the console and that of a
// station.
func (s *sessions) who(req *http.Request, fits func(Caller) bool) (Caller, bool, error) {
	for _, c := range cookiesOf(req) {
		var v session
		if rev, err := read(req.Context(), s.store, keyOf(sessionPrefix, c.Value), &v); err != nil {
			return Caller{}, false, err
		} else if rev == 0 || !time.Now().Before(v.Until) || !s.tokens.holds(v.Token) {
			continue
		}
		if who := (Caller{Name: v.Name, Role: v.Role, Device: v.Device}); fits(who) {
			return who, true, nil
		}
	}
	return Caller{}, false, nil
}

func (s *sessions) signOut(req *http.Request) error {
	for _, c := range cookiesOf(req) {
		if err := drop(req.Context(), s.store, keyOf(sessionPrefix, c.Value)); err != nil {
			return err
		}
	}
	return nil
}

// read reads a session or a visit. If it is damaged, v is unchanged, as if there were none:
// otherwise a device or a browser could not be used any more.
func read[T any](ctx context.Context, kv connector.StateKV, key string, v *T) (revision uint64, err error) {
	raw, revision, err := kv.Get(ctx, key)
	if err != nil || revision == 0 {
		return 0, err
	}
	var found T
	if json.Unmarshal(raw, &found) == nil {
		*v = found
	}
	return revision, nil
}

// swap stores v if its key is at revision, and reports false after a concurrent update.
func swap(
	ctx context.Context, kv connector.StateKV, key string, v any, revision uint64, life time.Duration,
) (bool, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return false, fmt.Errorf("encode session: %w", err)
	}
	_, ok, err := kv.CompareAndSet(ctx, key, raw, revision, life)
	return ok, err
}

func drop(ctx context.Context, kv connector.StateKV, key string) error {
	_, revision, err := kv.Get(ctx, key)
	if err == nil && revision != 0 {
		_, err = kv.Delete(ctx, key, revision)
	}
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}
