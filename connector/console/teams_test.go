package console

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/console/view"
)

// The tab of the Teams app is the only page that another site may show in a frame, and that site is Teams.
// It is the same for everybody, sets no cookie, and leads to the person's own page in a window of its own.
func TestTeamsTab(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := newSite(t)
		get := func(path string, cookies map[string]string) *httptest.ResponseRecorder {
			req := httptest.NewRequest(http.MethodGet, siteURL+path, nil)
			for name, value := range cookies {
				req.AddCookie(&http.Cookie{Name: name, Value: value}) //nolint:gosec // of a request
			}
			rec := httptest.NewRecorder()
			s.pages.ServeHTTP(rec, req)
			return rec
		}
		v := s.browser()
		v.signIn(annaID, "/")
		rec := get("/teams?locale=de-DE", v.cookies())
		body, h := rec.Body.String(), rec.Header()
		framed := strings.Replace(view.Policy, "'none'; frame-ancestors 'none'",
			"'none'; frame-ancestors https://teams.microsoft.com https://*.teams.microsoft.com https://*.cloud.microsoft", 1)
		if rec.Code != http.StatusOK || h.Get("Content-Security-Policy") != framed || h.Values("X-Frame-Options") != nil ||
			h.Values("Set-Cookie") != nil || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%d, %v", rec.Code, h)
		}
		if !strings.Contains(body, `href="/me" target="_blank" rel="noopener"`) || !strings.Contains(body, "Ihre Druckaufträge öffnen") {
			t.Error(body)
		}
		if get("/teams?locale=de-DE", nil).Body.String() != body || strings.Contains(body, "anna") {
			t.Error("the page is not the same for everybody")
		}
		if english := get("/teams?locale=%00", nil).Body.String(); !strings.Contains(english, "Open your print jobs") {
			t.Error(english)
		}
		for _, path := range []string{"/me", "/me/notices", "/teams/", "/auth/sign-in", "/at"} {
			h := get(path, nil).Header()
			if h.Get("X-Frame-Options") != "DENY" || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
				t.Errorf("%s may be framed: %v", path, h)
			}
		}
	})
}
