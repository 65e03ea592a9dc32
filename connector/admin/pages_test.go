package admin

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector"
)

func newPages(t *testing.T) *Pages {
	t.Helper()
	p, err := NewPages(NewAPI(Deps{
		Logger: zap.NewNop(), Tokens: newTokens(t), Devices: []connector.Device{{ID: "west"}, {ID: "east"}}, Taps: &connector.Taps{},
		Swept: func() time.Time { return time.Time{} },
	}))
	if err != nil {
		t.Fatal(err)
	}
	return p
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

// What a cookie opens: the station of its device, and nothing else.
func TestStationCookie(t *testing.T) {
	p := newPages(t)
	for who, want := range map[string]int{"west": 303, "operate": 303, "admin": 303, "east": 401, "read": 401, "wrong": 401} {
		rec := send(p, "/station/west/login", "same-origin", url.Values{"token": {testTokens[who]}})
		if rec.Code != want {
			t.Errorf("%s sets up the station: %d, want %d", who, rec.Code, want)
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

// A person who left, or was away, is not known any more; nor at another device.
func TestVisits(t *testing.T) {
	s := newSessions()
	id := s.arrive("west", "ada")
	if owner, ok := s.visitor("west", id); !ok || owner != "ada" {
		t.Errorf("%q %t", owner, ok)
	}
	if _, ok := s.visitor("east", id); ok {
		t.Error("known at another device")
	}
	v := s.visits[id]
	v.until = time.Now().Add(-time.Second)
	s.visits[id] = v
	if _, ok := s.visitor("west", id); ok {
		t.Error("known after the time")
	}
	id = s.arrive("west", "ada")
	s.leave(id)
	if _, ok := s.visitor("west", id); ok {
		t.Error("known after leaving")
	}
	if len(s.visits) != 0 {
		t.Errorf("%d visits remembered", len(s.visits))
	}
}

// Every page has the headers that keep other content out, and no script.
func TestPageHeaders(t *testing.T) {
	p := newPages(t)
	for _, path := range []string{"/", "/station/west", "/station/none", "/nothing", "/assets/style.css", "/assets/layout.html"} {
		rec := httptest.NewRecorder()
		p.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "http://print.example.com"+path, nil))
		h := rec.Header()
		if h.Get("Content-Security-Policy") != policyOfPages || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" {
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
