package console

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/access"
	"pullprint/connector/admin"
	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/console/station"
	"pullprint/connector/console/view"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
)

const (
	siteURL  = "https://print.example.com"
	siteApp  = "815f204f-c791-4ee6-9098-614ecdb003f6"
	annaID   = "5b0c3a9e-0001-4c1d-8a2b-3c4d5e6f7081" // administrator by an app role
	bertID   = "5b0c3a9e-0002-4c1d-8a2b-3c4d5e6f7082" // operates by a group
	carlaID  = "5b0c3a9e-0003-4c1d-8a2b-3c4d5e6f7083" // has no role
	doraID   = "5b0c3a9e-0004-4c1d-8a2b-3c4d5e6f7084" // reads by an app role
	deskID   = "0d1e2f30-1111-4222-8333-444455556666" // the group of the help desk
	entraURL = "https://login.microsoftonline.com"
)

// site is the print service with sign-in, beside a simulated Entra.
type site struct {
	t     *testing.T
	sim   *graphtest.Sim
	wire  *wire // to Entra and Graph
	bus   *bus.Bus
	pages *Pages
	api   *admin.API
	logs  *observer.ObservedLogs
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, sim: graphtest.New(graphtest.Calm()), bus: bustest.Open(t)}
	t.Cleanup(s.sim.Close)
	s.wire = &wire{RoundTripper: s.sim.Transport()}
	s.sim.AddApp(graphtest.App{
		ClientID: siteApp, Secret: "a-secret", RedirectURIs: []string{siteURL + "/auth/callback"},
	})
	s.sim.AddUser(graphtest.User{ID: annaID, UPN: "anna@contoso.com", AppRoles: []string{"pullprint.admin", "pullprint.read"}})
	s.sim.AddUser(graphtest.User{ID: bertID, UPN: "bert@contoso.com", Groups: []graphtest.Group{{ID: deskID}}})
	s.sim.AddUser(graphtest.User{ID: carlaID, UPN: "carla@contoso.com"})
	s.sim.AddUser(graphtest.User{ID: doraID, UPN: "dora@contoso.com", AppRoles: []string{"pullprint.read"}})
	s.pages, s.api = s.replica()
	return s
}

// replica is another process of the same service.
func (s *site) replica() (*Pages, *admin.API) {
	s.t.Helper()
	secret := filepath.Join(s.t.TempDir(), "client-secret")
	if err := os.WriteFile(secret, []byte("a-secret"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	core, logs := observer.New(zapcore.WarnLevel)
	s.logs = logs
	cfg := graph.Config{TenantID: s.sim.Tenant(), Auth: auth.Config{ClientID: siteApp, ClientSecretFile: secret}}
	o := graph.Options{Transport: s.wire}
	client, err := graph.New(cfg, o)
	if err != nil {
		s.t.Fatal(err)
	}
	people := access.Config{PublicURL: siteURL, Session: 8 * time.Hour, Roles: access.RoleNames{
		Admin: []string{"pullprint.admin"}, Operate: []string{deskID}, Read: []string{"pullprint.read"},
	}}
	entra, err := graph.NewOpenID(cfg, o, people.RedirectURI())
	if err != nil {
		s.t.Fatal(err)
	}
	tokens, state := newTokens(s.t), s.bus.State()
	sessions := access.NewSessions(state, tokens)
	p := testParts{
		view: view.Options{Graph: client, Logger: zap.New(core)}, tokens: tokens, sessions: sessions, users: client,
		entra: access.NewSignIn(people, entra, client, sessions), visits: station.NewVisits(state), links: state, jobs: &noJobs{},
	}.pages(s.t)
	return p, admin.NewAPI(admin.Deps{Logger: zap.NewNop(), Tokens: tokens, Sessions: sessions})
}

// browser is a person with a browser of their own.
type browser struct {
	t    *testing.T
	site *site
	jar  http.CookieJar
	at   http.Handler // the replica that answers for the site
	seen []string     // the addresses that the browser loaded
	// speaks is which languages it wishes for.
	speaks string
}

func (s *site) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{t: s.t, site: s, jar: jar, at: s.pages}
}

// RoundTrip implements http.RoundTripper: the site is answered for by the pages, all else by the
// simulator.
func (v *browser) RoundTrip(req *http.Request) (*http.Response, error) {
	v.seen = append(v.seen, req.URL.String())
	if req.URL.Host != "print.example.com" {
		return v.site.sim.Transport().RoundTrip(req)
	}
	in := req.Clone(req.Context())
	in.Host, in.RequestURI = req.URL.Host, req.URL.RequestURI()
	in.Header.Set("Accept-Language", v.speaks)
	if in.Body == nil {
		in.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	if strings.HasPrefix(req.URL.Path, "/v1/") {
		v.site.api.ServeHTTP(rec, in)
	} else {
		v.at.ServeHTTP(rec, in)
	}
	res := rec.Result()
	res.Request = req
	return res, nil
}

// shown is a page in a browser.
type shown struct {
	status int
	at     *url.URL
	text   string
}

func (v *browser) load(method, address string, form url.Values) shown {
	v.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = siteURL + address
	}
	req, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host)
	}
	res, err := (&http.Client{Jar: v.jar, Transport: v}).Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return shown{res.StatusCode, res.Request.URL, string(text)}
}

func (v *browser) open(address string) shown {
	v.t.Helper()
	return v.load(http.MethodGet, address, nil)
}

func (v *browser) send(address string, form url.Values) shown {
	v.t.Helper()
	return v.load(http.MethodPost, address, form)
}

// choose chooses a person on Entra's page.
func (v *browser) choose(page shown, person string) shown {
	v.t.Helper()
	if page.at.Host != "login.microsoftonline.com" {
		v.t.Fatalf("not at Entra but at %s: %d %s", page.at, page.status, page.text)
	}
	return v.send(page.at.String(), url.Values{"user": {person}})
}

// signIn signs a person in and returns the page that they come to.
func (v *browser) signIn(person, then string) shown {
	v.t.Helper()
	page := v.open(access.Asked{Then: then, Choose: true}.Path())
	return v.choose(page, person)
}

// sees fails unless a page has a status and some words.
func (v *browser) sees(page shown, status int, words ...string) {
	v.t.Helper()
	text := tags.ReplaceAllString(page.text, "")
	for _, w := range words {
		if !strings.Contains(text, w) {
			v.t.Errorf("%s does not say %q:\n%s", page.at, w, text)
		}
	}
	if page.status != status {
		v.t.Errorf("%s: %d, want %d:\n%s", page.at, page.status, status, text)
	}
}

// offers fails the test unless the page has two buttons, the first of which is the main one.
func (v *browser) offers(page shown, first, second string) {
	v.t.Helper()
	buttons := linkButton.FindAllStringSubmatch(page.text[strings.Index(page.text, "<main>"):], -1)
	if len(buttons) != 2 || buttons[0][1] != "" || buttons[0][2] != first || buttons[1][1] != " quiet" || buttons[1][2] != second {
		v.t.Errorf("%s has the buttons %q", page.at, buttons)
	}
}

var linkButton = regexp.MustCompile(`<a class="button( quiet)?"[^>]*>([^<]*)</a>`)

var tags = regexp.MustCompile(`<[^>]*>`)

// cookies are those that the browser sends to the site.
func (v *browser) cookies() map[string]string {
	u, _ := url.Parse(siteURL)
	list := map[string]string{}
	for _, c := range v.jar.Cookies(u) {
		list[c.Name] = c.Value
	}
	return list
}

// put gives the browser a cookie of the site.
func (v *browser) put(name, value string) {
	u, _ := url.Parse(siteURL)
	v.jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true}}) //nolint:gosec // a test's
}

// request is one that the browser would send, with its cookies.
func (v *browser) request(address string) *http.Request {
	req := httptest.NewRequest(http.MethodGet, siteURL+address, nil)
	for name, value := range v.cookies() {
		req.AddCookie(&http.Cookie{Name: name, Value: value}) //nolint:gosec // of a request
	}
	return req
}

// stopAt loads an address and follows it until it leads to a host, whose address is returned.
func (v *browser) stopAt(address, host string) (found string) {
	v.t.Helper()
	c := &http.Client{Jar: v.jar, Transport: v, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if req.URL.Host == host {
			found = req.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}}
	res, err := c.Get(siteURL + address)
	if err != nil {
		v.t.Fatal(err)
	}
	_ = res.Body.Close()
	if found == "" {
		v.t.Fatalf("%s does not lead to %s", address, host)
	}
	return found
}

// get is the answer to one request without cookies.
func get(h http.Handler, address string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, siteURL+address, nil))
	return rec
}

func getWith(h http.Handler, req *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec
}

// pending is the cookie of the sign-in that ends at an address.
func (v *browser) pending(at string) (name, value string) {
	v.t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		v.t.Fatal(err)
	}
	name = pendingName + u.Query().Get("state")[:8]
	return name, v.cookies()[name]
}
