package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
)

func newPages(t *testing.T) *Pages {
	t.Helper()
	p, err := NewPages(NewAPI(Deps{
		Logger: zap.NewNop(), State: bustest.Open(t).State(), Tokens: newTokens(t), Devices: []connector.Device{{ID: "west"}, {ID: "east"}},
		Taps:  &connector.Taps{},
		Swept: func() time.Time { return time.Time{} }, Audit: &ear{},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ear is an audit that remembers what was asked for.
type ear struct {
	Audit
	asked []string
}

func (e *ear) PublishAudit(_ context.Context, _, _ string, body []byte) error {
	var a Action
	err := json.Unmarshal(body, &a)
	e.asked = append(e.asked, strings.Join([]string{a.Action, a.Actor, a.Device}, " "))
	return err
}

// send sends a form as a browser would, from a page of a site.
func send(p *Pages, path, site string, form url.Values, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "http://print.example.com"+path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", site)
	for _, c := range cookies {
		req.AddCookie(c)
	}
	rec := httptest.NewRecorder()
	p.ServeHTTP(rec, req)
	return rec
}

// A form that another site sends does nothing, whatever cookies come with it;
// neither does one without a cookie.
func TestForgedForms(t *testing.T) {
	p := newPages(t)
	signedIn := send(p, "/station/west/login", "same-origin", url.Values{"token": {testTokens["west"]}})
	cookies := signedIn.Result().Cookies()
	if signedIn.Code != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("%d %v", signedIn.Code, cookies)
	}
	if c := cookies[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/station/west" {
		t.Errorf("%+v", c)
	}
	for _, path := range []string{
		"/login", "/logout", "/jobs/p/j/cancel", "/jobs/p/j/release",
		"/station/west/login", "/station/west/jobs", "/station/west/release", "/station/west/cancel", "/station/west/enrol",
		"/station/west/leave",
	} {
		for _, site := range []string{"cross-site", "same-site"} {
			if rec := send(p, path, site, url.Values{"token": {testTokens["admin"]}}, cookies...); rec.Code != http.StatusForbidden {
				t.Errorf("%s from a %s page: %d", path, site, rec.Code)
			}
		}
		if strings.HasSuffix(path, "login") || path == "/logout" {
			continue
		}
		if rec := send(p, path, "same-origin", url.Values{}); rec.Code != http.StatusUnauthorized {
			t.Errorf("%s without a cookie: %d", path, rec.Code)
		}
	}
}

// Whoever may only read is told so on a page on which they can sign out; a station that the
// audit keeps from being set up has its form again.
func TestRefusalsLeadOn(t *testing.T) {
	p := newPages(t)
	cookies := send(p, "/login", "same-origin", url.Values{"token": {testTokens["read"]}}).Result().Cookies()
	rec := send(p, "/jobs/p/j/cancel", "same-origin", url.Values{}, cookies...)
	if text := rec.Body.String(); rec.Code != http.StatusForbidden || !strings.Contains(text, `Sign out</button>`) ||
		!strings.Contains(text, `href="/">To the console`) {
		t.Errorf("%d %s", rec.Code, text)
	}
	p.api.Audit = mute{}
	rec = send(p, "/station/west/login", "same-origin", url.Values{"token": {testTokens["admin"]}})
	if text := rec.Body.String(); rec.Code != http.StatusServiceUnavailable || !strings.Contains(text, "Set up the station west") {
		t.Errorf("%d %s", rec.Code, text)
	}
}

// mute is an audit that stores nothing.
type mute struct{ Audit }

func (mute) PublishAudit(context.Context, string, string, []byte) error { return errors.New("not now") }

// What a cookie opens: the station of its device, and nothing else.
func TestStationCookie(t *testing.T) {
	p := newPages(t)
	for who, want := range map[string]int{"west": 303, "operate": 303, "admin": 303, "east": 401, "read": 401, "wrong": 401} {
		heard := &ear{}
		p.api.Audit = heard
		told := map[string]string{"operate": "set-up-station helpdesk west", "admin": "set-up-station admin west"}[who]
		rec := send(p, "/station/west/login", "same-origin", url.Values{"token": {testTokens[who]}})
		if rec.Code != want {
			t.Errorf("%s sets up the station: %d, want %d", who, rec.Code, want)
		}
		if got := strings.Join(heard.asked, ", "); got != told {
			t.Errorf("%s sets up the station: the audit has %q, want %q", who, got, told)
		}
		if want != http.StatusSeeOther {
			continue
		}
		for path, want := range map[string]int{"/station/west": 200, "/station/east": 401, "/": 401, "/jobs/p/j": 401, "/station/none": 404} {
			req := httptest.NewRequest(http.MethodGet, "http://print.example.com"+path, nil)
			req.AddCookie(rec.Result().Cookies()[0])
			got := httptest.NewRecorder()
			p.ServeHTTP(got, req)
			if got.Code != want {
				t.Errorf("%s with the cookie of %s: %d, want %d", path, who, got.Code, want)
			}
		}
	}
}

// Whoever signed in at one replica is signed in at the others, until they sign out
// or their token is another.
func TestSessionsShared(t *testing.T) {
	here := newPages(t)
	tokens := here.api.Tokens
	there := &sessions{here.api.State, tokens}
	cookie := func() *http.Cookie {
		t.Helper()
		rec := send(here, "/login", "same-origin", url.Values{"token": {testTokens["admin"]}})
		if rec.Code != http.StatusSeeOther {
			t.Fatal(rec.Code)
		}
		return rec.Result().Cookies()[0]
	}
	knows := func(c *http.Cookie) bool {
		req := httptest.NewRequest(http.MethodGet, "http://print.example.com/", nil)
		req.AddCookie(c)
		_, ok, err := there.who(req, func(c Caller) bool { return c.may(RoleAdmin) })
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	c := cookie()
	if !knows(c) {
		t.Error("not signed in at the other replica")
	}
	req := httptest.NewRequest(http.MethodPost, "http://print.example.com/logout", nil)
	req.AddCookie(c)
	if err := there.signOut(req); err != nil || knows(c) {
		t.Errorf("still signed in: %v", err)
	}
	c = cookie()
	if err := os.WriteFile(tokens.sources[0].file, []byte("another-token-now"), 0o600); err != nil {
		t.Fatal(err)
	}
	reread(tokens)
	if knows(c) {
		t.Error("still signed in by a token that is no more")
	}
}

// Every page has the headers that keep other content out, and no script.
func TestPageHeaders(t *testing.T) {
	p := newPages(t)
	for _, path := range []string{"/", "/station/west", "/station/none", "/nothing", "/assets/style.css", "/assets/layout.html"} {
		rec := httptest.NewRecorder()
		p.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "http://print.example.com"+path, nil))
		h := rec.Header()
		if h.Get("Content-Security-Policy") != policyOfPages || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %v", path, h)
		}
		if strings.Contains(rec.Body.String(), "<script") || strings.Contains(rec.Body.String(), "style=") {
			t.Errorf("%s has what the policy forbids", path)
		}
		if path == "/assets/layout.html" && rec.Code != http.StatusNotFound {
			t.Errorf("a template is served: %d", rec.Code)
		}
	}
}

// gets counts the reads of a state.
type gets struct {
	connector.StateKV
	n int
}

func (g *gets) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	g.n++
	return g.StateKV.Get(ctx, key)
}

// However many cookies come, two are looked at.
func TestManyCookies(t *testing.T) {
	p := newPages(t)
	counted := &gets{StateKV: p.sessions.store}
	p.sessions.store = counted
	req := httptest.NewRequest(http.MethodGet, "http://print.example.com/", nil)
	for range 560 {
		req.AddCookie(&http.Cookie{Name: cookieName, Value: "guessed"}) //nolint:gosec // of a request
	}
	rec := httptest.NewRecorder()
	p.ServeHTTP(rec, req)
	if rec.Code != http.StatusUnauthorized || counted.n > maxCookies {
		t.Errorf("%d after %d reads", rec.Code, counted.n)
	}
}
