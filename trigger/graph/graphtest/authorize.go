package graphtest

import (
	"cmp"
	crand "crypto/rand"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// authCodeLife is how long Entra lets a code be redeemed
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow).
const authCodeLife = 10 * time.Minute

// authCode is a code that was given to the browser of a person who signed in.
type authCode struct {
	app                        *app
	userID                     string
	redirect, challenge, nonce string
	scopes                     []string
	expires                    time.Time
	used                       bool
}

// signInCookie remembers in a browser who has signed in, as Entra's own cookie does.
const signInCookie = "simulator_sign_in"

//go:embed authorize.html
var authorizeHTML string

var authorizePage = template.Must(template.New("authorize").Parse(authorizeHTML))

// authorize is the page to which an application sends the browser of a person, and the form on it
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow).
func (s *Sim) authorize(c *call, r *http.Request) reply {
	q := r.URL.Query()
	s.mu.Lock()
	a := s.apps[q.Get("client_id")]
	s.mu.Unlock()
	back, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case a == nil:
		return authorizeFailed(700016, "The application was not found in the directory.")
	case err != nil || back.Host == "" || a.RedirectURIs != nil && !slices.Contains(a.RedirectURIs, q.Get("redirect_uri")):
		return authorizeFailed(50011, "The redirect URI does not match the redirect URIs configured for the application.")
	case q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "":
		return authorizeFailed(900144, "response_type=code, a code_challenge with S256 and a nonce are needed.")
	}
	s.openID.mu.Lock()
	refuse := s.openID.refuse
	s.openID.mu.Unlock()
	if refuse.kind != "" {
		return sendBack(back, q, url.Values{
			"error":             {refuse.kind},
			"error_description": {fmt.Sprintf("AADSTS%d: The sign-in is refused.", refuse.code)},
		})
	}
	if r.Method == http.MethodPost {
		return s.chosen(c, a, back, q)
	}
	u := s.visitor(r)
	switch silent := q.Get("prompt") == "none"; {
	case silent && u == nil:
		return sendBack(back, q, url.Values{
			"error":             {"login_required"},
			"error_description": {"AADSTS50058: A silent sign-in request was sent but no user is signed in."},
		})
	case silent && u.Disabled:
		return sendBack(back, q, url.Values{
			"error":             {"interaction_required"},
			"error_description": {"AADSTS50057: The user account is disabled."},
		})
	case u != nil && !u.Disabled && (silent || q.Get("prompt") == ""):
		return s.signedIn(a, u, back, q)
	}
	var text strings.Builder
	users := s.Users()
	slices.SortFunc(users, func(a, b User) int { return cmp.Compare(a.UPN, b.UPN) })
	query := template.URL(r.URL.RawQuery) //nolint:gosec // led back to this page
	if err := authorizePage.Execute(&text, map[string]any{"Query": query, "Users": users}); err != nil {
		return authorizeFailed(90033, "The page can't be shown.")
	}
	return reply{status: http.StatusOK, text: text.String(), header: htmlHeader()}
}

func htmlHeader() http.Header {
	return http.Header{"Content-Type": {"text/html; charset=utf-8"}, "Cache-Control": {"no-store"}}
}

// chosen answers the form of the page.
func (s *Sim) chosen(c *call, a *app, back *url.URL, q url.Values) reply {
	form, err := url.ParseQuery(string(c.Body))
	if err != nil {
		return authorizeFailed(900144, "The form can't be read.")
	}
	if form.Get("decline") != "" {
		return sendBack(back, q, url.Values{
			"error": {"access_denied"}, "error_description": {"AADSTS65004: User declined to consent to access the app."},
		})
	}
	u := s.userNow(form.Get("user"))
	switch {
	case u == nil:
		return authorizeFailed(50034, "The user account does not exist in the directory.")
	case u.Disabled:
		return authorizeFailed(50057, "The user account is disabled.")
	}
	r := s.signedIn(a, u, back, q)
	cookie := crand.Text()
	s.openID.mu.Lock()
	s.openID.visited[cookie] = u.ID
	s.openID.mu.Unlock()
	r.header.Set("Set-Cookie", (&http.Cookie{ //nolint:gosec // also without https
		Name: signInCookie, Value: cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}).String())
	return r
}

// visitor is who has signed in with this browser; nil for nobody.
func (s *Sim) visitor(r *http.Request) *User {
	cookie, err := r.Cookie(signInCookie)
	if err != nil {
		return nil
	}
	s.openID.mu.Lock()
	id := s.openID.visited[cookie.Value]
	s.openID.mu.Unlock()
	return s.userNow(id)
}

// userNow is a copy of a person as the directory knows them now; nil for nobody.
func (s *Sim) userNow(id string) *User {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[id]; u != nil {
		now := *u
		return &now
	}
	return nil
}

// signedIn sends the browser back with a code.
func (s *Sim) signedIn(a *app, u *User, back *url.URL, q url.Values) reply {
	code := "0." + crand.Text()
	s.openID.mu.Lock()
	s.openID.codes[code] = &authCode{
		app: a, userID: u.ID, redirect: q.Get("redirect_uri"), challenge: q.Get("code_challenge"), nonce: q.Get("nonce"),
		scopes: strings.Fields(q.Get("scope")), expires: time.Now().Add(authCodeLife),
	}
	s.openID.mu.Unlock()
	return sendBack(back, q, url.Values{"code": {code}, "session_state": {crand.Text()}})
}

// sendBack redirects the browser to the application.
func sendBack(to *url.URL, q, with url.Values) reply {
	with.Set("state", q.Get("state"))
	at := *to
	at.RawQuery = with.Encode()
	return reply{status: http.StatusFound, header: http.Header{"Location": {at.String()}, "Cache-Control": {"no-store"}}}
}

// authorizeFailed is a page of Entra that does not lead back.
func authorizeFailed(code int, message string) reply {
	return reply{
		status: http.StatusBadRequest, header: htmlHeader(),
		text: fmt.Sprintf("<!doctype html><title>Sign in</title><h1>Sorry, but we're having trouble signing you in.</h1>"+
			"<p>AADSTS%d: %s</p>", code, template.HTMLEscapeString(message)),
	}
}

// logout ends what a browser remembers.
func (s *Sim) logout(r *http.Request) reply {
	if cookie, err := r.Cookie(signInCookie); err == nil {
		s.openID.mu.Lock()
		delete(s.openID.visited, cookie.Value)
		s.openID.mu.Unlock()
	}
	return reply{status: http.StatusOK, header: htmlHeader(), text: "<!doctype html><title>Signed out</title><h1>You are signed out.</h1>"}
}
