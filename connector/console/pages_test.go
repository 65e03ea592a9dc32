package console

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/console/at"
	"pullprint/connector/console/own"
	"pullprint/connector/console/signin"
	"pullprint/connector/console/station"
	"pullprint/connector/console/view"
	"pullprint/connector/directory"
	"pullprint/connector/health"
	"pullprint/connector/notice"
	"pullprint/connector/phone"
	"pullprint/connector/printer"
	"pullprint/connector/store"
	"pullprint/connector/tap"
	"pullprint/policy"
	"pullprint/policy/badge"
	"pullprint/policy/pin"
)

// testTokens are the tokens of the tests, by who holds them.
var testTokens = map[string]string{
	"wrong": "not-a-token-at-all", "west": "token-of-the-west-reader", "east": "token-of-the-east-reader",
	"read": "token-that-only-reads", "operate": "token-that-operates", "admin": "token-of-the-administrator",
}

func newTokens(t *testing.T) *access.Tokens {
	t.Helper()
	dir := t.TempDir()
	var sources []access.Source
	for who, c := range map[string]access.Caller{
		"west": {Name: "west", Device: "west"}, "east": {Name: "east", Device: "east"},
		"read": {Name: "viewer", Role: access.RoleRead}, "operate": {Name: "helpdesk", Role: access.RoleOperate},
		"admin": {Name: access.AdminName, Role: access.RoleAdmin},
	} {
		file := filepath.Join(dir, who)
		if err := os.WriteFile(file, []byte(testTokens[who]+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, access.Source{File: file, Caller: c})
	}
	tokens, err := access.NewTokens(sources, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// allJobs are the jobs of the console and of own pages.
type allJobs interface {
	Jobs
	List(ctx context.Context, field string, f apiclient.JobFilter, limit int) (apiclient.JobList, error)
}

// testParts are what the pages of a test are made of.
type testParts struct {
	view     view.Options
	tokens   *access.Tokens
	sessions *access.Sessions
	entra    *access.SignIn
	users    directory.Finder
	visits   *station.Visits
	links    store.KV
	jobs     allJobs
}

// pages puts them together as the daemon does, without anything behind them.
func (o testParts) pages(t *testing.T) *Pages {
	t.Helper()
	if o.view.DefaultZone == nil {
		o.view.DefaultZone = func() *time.Location { return time.UTC }
	}
	log, devices := o.view.Logger, []printer.Device{{ID: "west", Phone: printer.PhoneLink}, {ID: "east"}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	site, err := view.New(o.view)
	must(err)
	callers, err := signin.New(signin.Deps{
		Site: site, Audit: o.jobs, Tokens: o.tokens, Sessions: o.sessions, Entra: o.entra, Users: o.users, Logger: log,
	})
	must(err)
	stations, err := station.New(station.Deps{
		Site: site, Jobs: o.jobs, Taps: &tap.Taps{}, Users: o.users, Tokens: o.tokens, Sessions: o.sessions,
		Visits: o.visits, Devices: devices, Logger: log,
	})
	must(err)
	var mine *own.Pages
	var phones *at.Pages
	if o.entra != nil {
		mine, err = own.New(own.Deps{
			Site: site, Callers: callers, Jobs: o.jobs, SignedIn: tap.NewSignedIn(nil, true, log), Devices: devices, Self: tooMuch{},
			Notices: notice.NewChoices(&memory{}), Teams: true, Badges: badge.NewRegistry(nil, badge.Keys{}, nil), Logger: log,
			PINs: pin.New(nil, nil, nil), AskPINs: true,
		})
		must(err)
		phones, err = at.New(at.Deps{
			Site: site, Callers: callers, Phones: phone.New(o.links, linkKeys{}, siteURL, devices), Devices: devices,
			Logger: log,
		})
		must(err)
	}
	p, err := New(Deps{
		API: func(who access.Caller) *apiclient.Client { return admin.ClientOver(noAPI, who) }, Users: o.users,
		Policy: policy.Default,
		Site:   site, Callers: callers, Station: stations, Own: mine, At: phones, Jobs: o.jobs, Devices: devices,
		Logger: log,
		Health: health.New(), Recent: NewRecent(nil, zap.NewNop()), Held: func() map[string]int { return nil },
		Swept: func() time.Time { return time.Time{} }, DeviceEntries: func(context.Context) []apiclient.DeviceEntry { return nil },
	})
	must(err)
	return p
}

// linkKeys make the same link for each device.
type linkKeys struct{}

func (linkKeys) DeviceTags(string) []string { return []string{strings.Repeat("5a", 32)} }

// noAPI carries nothing out.
var noAPI = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
	rw.WriteHeader(http.StatusServiceUnavailable)
	_, _ = rw.Write([]byte(`{"title": "Not in this test", "status": 503}`))
})

// newPages are pages at which nobody signs in with Entra.
func newPages(t *testing.T, options ...func(o *testParts)) *Pages {
	t.Helper()
	tokens, state := newTokens(t), bustest.Open(t).State()
	o := testParts{
		view: view.Options{Logger: zap.NewNop()}, tokens: tokens, sessions: access.NewSessions(state, tokens),
		visits: station.NewVisits(state), jobs: &storedActions{},
	}
	for _, set := range options {
		set(&o)
	}
	return o.pages(t)
}

// withJobs makes pages whose jobs are those.
func withJobs(jobs allJobs) func(o *testParts) { return func(o *testParts) { o.jobs = jobs } }

// storedActions remembers what was asked for.
type storedActions struct {
	allJobs
	asked []string
}

func (s *storedActions) StoreAction(_ context.Context, a apiclient.Action) error {
	s.asked = append(s.asked, strings.Join([]string{a.Action, a.Actor, a.Device}, " "))
	return nil
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
	p.Station.Jobs = noAudit{}
	rec = send(p, "/station/west/login", "same-origin", url.Values{"token": {testTokens["admin"]}})
	if text := rec.Body.String(); rec.Code != http.StatusServiceUnavailable || !strings.Contains(text, "Set up the station west") {
		t.Errorf("%d %s", rec.Code, text)
	}
}

// noAudit stores no action.
type noAudit struct{ Jobs }

func (noAudit) StoreAction(context.Context, apiclient.Action) error { return errors.New("not now") }

// What a cookie opens: the station of its device, and nothing else.
func TestStationCookie(t *testing.T) {
	p := newPages(t)
	for who, want := range map[string]int{"west": 303, "operate": 303, "admin": 303, "east": 401, "read": 401, "wrong": 401} {
		audit := &storedActions{}
		p.Station.Jobs = audit
		told := map[string]string{"operate": "set-up-station helpdesk west", "admin": "set-up-station admin west"}[who]
		rec := send(p, "/station/west/login", "same-origin", url.Values{"token": {testTokens[who]}})
		if rec.Code != want {
			t.Errorf("%s sets up the station: %d, want %d", who, rec.Code, want)
		}
		if got := strings.Join(audit.asked, ", "); got != told {
			t.Errorf("%s sets up the station: the audit has %q, want %q", who, got, told)
		}
		if want != http.StatusSeeOther {
			continue
		}
		for path, want := range map[string]int{
			"/station/west": 200, "/station/east": 401, "/": 401,
			"/jobs/p/j": 401, "/station/none": 404,
		} {
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

// Every page has the headers that keep other content out, and no script.
func TestPageHeaders(t *testing.T) {
	p := newPages(t)
	for _, path := range []string{"/", "/station/west", "/station/none", "/nothing", "/assets/style.css", "/assets/layout.html"} {
		rec := httptest.NewRecorder()
		p.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "http://print.example.com"+path, nil))
		h := rec.Header()
		if h.Get("Content-Security-Policy") != view.Policy || h.Get("X-Content-Type-Options") != "nosniff" ||
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
