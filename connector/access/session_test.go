package access

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
)

// signIn shows the token of who to s and returns the cookie that comes.
func signIn(t *testing.T, s *Sessions, who string, path string, life time.Duration) *http.Cookie {
	t.Helper()
	form := url.Values{"token": {testTokens[who] + " \n"}}
	req := httptest.NewRequest(http.MethodPost, "http://print.example.com/login", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c, ok := s.tokens.Who(FormToken(req))
	if !ok {
		t.Fatal("the token is not known")
	}
	rec := httptest.NewRecorder()
	if err := s.SignIn(rec, req, c, path, life); err != nil {
		t.Fatal(err)
	}
	return rec.Result().Cookies()[0]
}

// with is a request that has cookies.
func with(cookies ...*http.Cookie) *http.Request {
	req := httptest.NewRequest(http.MethodGet, "http://print.example.com/", nil)
	for _, c := range cookies {
		req.AddCookie(c)
	}
	return req
}

// knows reports whether s takes a cookie for that of an administrator.
func knows(t *testing.T, s *Sessions, c *http.Cookie) bool {
	t.Helper()
	_, ok, err := s.Who(with(c), func(c Caller) bool { return c.May(RoleAdmin) })
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// Whoever signed in at one replica is signed in at the others, until they sign out, their
// token is another, or their time is over.
func TestSessionsShared(t *testing.T) {
	tokens, state := newTokens(t), bustest.Open(t).State()
	here, there := NewSessions(state, tokens), NewSessions(state, tokens)
	c := signIn(t, here, AdminName, "/", time.Hour)
	if !knows(t, there, c) {
		t.Error("not signed in at the other replica")
	}
	if err := there.SignOut(with(c)); err != nil || knows(t, here, c) {
		t.Errorf("still signed in: %v", err)
	}
	c = signIn(t, here, AdminName, "/", time.Hour)
	if err := os.WriteFile(tokens.sources[0].File, []byte("another-token-now"), 0o600); err != nil {
		t.Fatal(err)
	}
	reread(tokens)
	if knows(t, here, c) {
		t.Error("still signed in by a token that is no more")
	}
}

// A session ends with its life, and one that is damaged is none.
func TestSessionEnds(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		kv := bustest.Open(t).State()
		s := NewSessions(kv, newTokens(t))
		c := signIn(t, s, AdminName, "/", time.Hour)
		time.Sleep(time.Hour - time.Second)
		if !knows(t, s, c) {
			t.Error("signed out before the time")
		}
		time.Sleep(2 * time.Second)
		if knows(t, s, c) {
			t.Error("still signed in after the time")
		}
		c = signIn(t, s, AdminName, "/", time.Hour)
		raw, revision, err := kv.Get(t.Context(), sessionKey(c.Value))
		if err != nil || strings.Contains(string(raw), testTokens[AdminName]) {
			t.Fatalf("the token is stored: %v", err)
		}
		if _, ok, err := kv.CompareAndSet(t.Context(), sessionKey(c.Value), []byte("{"), revision, time.Hour); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if knows(t, s, c) {
			t.Error("a damaged session signs in")
		}
	})
}

// A browser that has the cookies of a station and of the console is whoever the page is for.
func TestCookieThatFits(t *testing.T) {
	s := NewSessions(bustest.Open(t).State(), newTokens(t))
	station, console := signIn(t, s, "west", "/station/west", time.Hour), signIn(t, s, "read", "/", time.Hour)
	if station.Path != "/station/west" || !station.HttpOnly || station.SameSite != http.SameSiteStrictMode {
		t.Errorf("%+v", station)
	}
	for _, order := range [][]*http.Cookie{{station, console}, {console, station}} {
		c, ok, err := s.Who(with(order...), func(c Caller) bool { return c.May(RoleRead) })
		if err != nil || !ok || c.Name != "read" {
			t.Errorf("at the console: %+v, %t, %v", c, ok, err)
		}
		c, ok, err = s.Who(with(order...), func(c Caller) bool { return c.MayTapAt("west") })
		if err != nil || !ok || c.Device != "west" {
			t.Errorf("at the station: %+v, %t, %v", c, ok, err)
		}
		if _, ok, _ := s.Who(with(order...), func(c Caller) bool { return c.MayTapAt("east") }); ok {
			t.Error("known at another station")
		}
	}
}

// What each caller may.
func TestRoles(t *testing.T) {
	all := []Role{RoleRead, RoleOperate, RoleAdmin}
	for i, has := range all {
		for j, need := range all {
			if got := (Caller{Role: has}).May(need); got != (i >= j) {
				t.Errorf("%s may %s: %t", has, need, got)
			}
		}
	}
	for _, c := range []Caller{{}, {Device: "west"}, {Role: "owner"}} {
		if c.May(RoleRead) {
			t.Errorf("%+v may read", c)
		}
	}
	for _, c := range []struct {
		who  Caller
		want bool
	}{
		{Caller{}, false},
		{Caller{Role: RoleRead}, false},
		{Caller{Role: RoleOperate}, true},
		{Caller{Role: RoleAdmin}, true},
		{Caller{Device: "west"}, true},
		{Caller{Device: "east"}, false},
	} {
		if got := c.who.MayTapAt("west"); got != c.want {
			t.Errorf("%+v may show badges at west: %t", c.who, got)
		}
	}
}

// countedKV counts the reads of a store.
type countedKV struct {
	KV
	n int
}

func (g *countedKV) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	g.n++
	return g.KV.Get(ctx, key)
}

// However many cookies come, two are looked at.
func TestManyCookies(t *testing.T) {
	counted := &countedKV{KV: bustest.Open(t).State()}
	var cookies []*http.Cookie
	for range 560 {
		cookies = append(cookies, &http.Cookie{Name: cookieName, Value: "guessed"}) //nolint:gosec // of a request
	}
	_, ok, err := NewSessions(counted, newTokens(t)).Who(with(cookies...), func(Caller) bool { return true })
	if ok || err != nil || counted.n > maxCookies {
		t.Errorf("%t, %v after %d reads", ok, err, counted.n)
	}
}
