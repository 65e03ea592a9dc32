package console

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// personMatrix adds the pages for people who sign in to pageMatrix; person is one without a role.
var personMatrix = map[string]string{
	"GET /auth/sign-in":    "", // begins a sign-in: TestSignIn
	"GET /auth/callback":   "", // ends one: TestSignInRefused
	"POST /auth/sign-out":  "", // ends that of the browser, if it has one: TestSignOutEverywhere
	"GET /auth/signed-out": "",

	"GET /me":                              "person read operate admin",
	"GET /me/data":                         "person read operate admin",
	"GET /me/jobs/{printer}/{job}/cancel":  "person read operate admin",
	"POST /me/jobs/{printer}/{job}/cancel": "person read operate admin",
	"GET /me/lend":                         "person read operate admin",
	"POST /me/lend":                        "person read operate admin",
	"POST /me/lend/find":                   "person read operate admin",
	"POST /me/lend/end":                    "person read operate admin",
	"GET /me/notices":                      "person read operate admin",
	"POST /me/notices":                     "person read operate admin",
	"GET /me/print":                        "person read operate admin",
	"POST /me/print":                       "person read operate admin",
	"GET /me/badge":                        "person read operate admin",
	"POST /me/badge":                       "person read operate admin",
	"GET /me/pin":                          "person read operate admin",
	"POST /me/pin":                         "person read operate admin",

	"GET /teams": "", // shows nothing of anybody: TestTeamsTab

	"GET /at":                  "", // say that the link is not complete
	"GET /at/{$}":              "",
	"GET /at/{device}":         "person read operate admin",
	"POST /at/{device}/print":  "person read operate admin",
	"POST /at/{device}/code":   "person read operate admin",
	"GET /at/{device}/options": "person read operate admin",
	"POST /at/{device}/cancel": "person read operate admin",
	"GET /at/{device}/{form}":  "", // leads to the page of the device
}

// everybody are the cookies of who could ask: a reader's station, people without and with each
// role, and one whose sign-in Entra has to confirm.
func (s *site) everybody() map[string]map[string]string {
	s.t.Helper()
	all := map[string]map[string]string{"nobody": nil}
	unconfirmed := s.browser()
	unconfirmed.signIn(annaID, "/")
	all["unconfirmed"] = unconfirmed.cookies()
	time.Sleep(15 * time.Minute)
	for who, id := range map[string]string{"admin": annaID, "operate": bertID, "person": carlaID, "read": doraID} {
		v := s.browser()
		v.signIn(id, "/")
		all[who] = v.cookies()
	}
	rec := send(s.pages, "/station/west/login", "same-origin", map[string][]string{"token": {testTokens["west"]}})
	all["west"] = map[string]string{}
	for _, c := range rec.Result().Cookies() {
		all["west"][c.Name] = c.Value
	}
	return all
}

// ask sends a request with cookies, from a page of the site or of another.
func ask(h http.Handler, method, path, from string, cookies map[string]string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, siteURL+path, nil)
	req.Header.Set("Sec-Fetch-Site", from)
	for name, value := range cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value}) //nolint:gosec // of a request
	}
	return getWith(h, req)
}

// refused reports whether an answer lets nobody in.
func refusedCode(rec *httptest.ResponseRecorder) bool {
	return rec.Code == http.StatusUnauthorized || rec.Code == http.StatusForbidden ||
		rec.Code == http.StatusSeeOther && strings.HasPrefix(rec.Header().Get("Location"), "/auth/")
}

// reach is the answer of a page; one that goes on to what this site lacks has let who asks in.
func reach(ask func() *httptest.ResponseRecorder) (rec *httptest.ResponseRecorder) {
	defer func() {
		if recover() != nil {
			rec = httptest.NewRecorder()
		}
	}()
	return ask()
}

// With sign-in, each page is for the same as with tokens, by the role of the person; a sign-in that
// is to be confirmed counts for nothing.
func TestPageAuthorizationOfPeople(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		all := maps.Clone(pageMatrix)
		maps.Copy(all, personMatrix)
		routes := s.pages.routes()
		cookies := s.everybody()
		link := s.linkOf("west")
		for pattern := range routes {
			allowed, known := all[pattern]
			if !known {
				t.Errorf("%s has no entry in the matrix", pattern)
			}
			if allowed == "" {
				continue
			}
			method, path, _ := strings.Cut(pattern, " ")
			path = pathValues.Replace(path) + queries[pattern]
			if strings.HasPrefix(path, "/at/") {
				s.refusesLinks(pattern, method, path, cookies)
				path += "?" + link.RawQuery
			}
			for who, mine := range cookies {
				rec := reach(func() *httptest.ResponseRecorder { return ask(s.pages, method, path, "same-origin", mine) })
				if want := !strings.Contains(" "+allowed+" ", " "+who+" "); refusedCode(rec) != want {
					t.Errorf("%s by %s: %d to %s", pattern, who, rec.Code, rec.Header().Get("Location"))
				}
			}
		}
	})
}

// linkOf is the link of a device for phones.
func (s *site) linkOf(device string) *url.URL {
	s.t.Helper()
	text, err := s.pages.At.Phones.URL(s.t.Context(), device)
	if err != nil {
		s.t.Fatal(err)
	}
	link, err := url.Parse(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return link
}

// refusesLinks fails if a page of a device lets somebody in without its link, or if one of a device that is
// not used by phone does with a link.
func (s *site) refusesLinks(pattern, method, path string, cookies map[string]map[string]string) {
	s.t.Helper()
	for who, mine := range cookies {
		for _, wrong := range []string{"", "?k=", "?k=AAAAAAAAAAAAAAAAAAAAAA"} {
			if rec := ask(s.pages, method, path+wrong, "same-origin", mine); rec.Code != http.StatusForbidden {
				s.t.Errorf("%s by %s with the link %q: %d", pattern, who, wrong, rec.Code)
			}
		}
		east := strings.Replace(path, "west", "east", 1) + "?" + s.linkOf("west").RawQuery
		if rec := ask(s.pages, method, east, "same-origin", mine); rec.Code != http.StatusNotFound {
			s.t.Errorf("%s by %s of a device without phones: %d", pattern, who, rec.Code)
		}
	}
}
