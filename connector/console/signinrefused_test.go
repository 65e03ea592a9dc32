package console

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"pullprint/trigger/graph/graphtest"
)

// atCallback is the address with which Entra leads a person's browser back, not loaded yet.
func (v *browser) atCallback(person string) string {
	v.t.Helper()
	at := v.stopAt("/auth/sign-in?then=%2F&choose=1", "login.microsoftonline.com")
	res, err := v.site.sim.Transport().RoundTrip(formTo(v.t, at, url.Values{"user": {person}}))
	if err != nil {
		v.t.Fatal(err)
	}
	return res.Header.Get("Location")
}

func formTo(t *testing.T, address string, form url.Values) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// refusedSignIn is a sign-in that fails.
type refusedSignIn struct {
	knobs func(*graphtest.Knobs) // changes what Entra does
	kind  string                 // with which Entra refuses everybody, and its AADSTS code
	code  int
	// before changes the browser, or the address with which Entra leads it back.
	before func(v *browser, at string) string
	status int
	says   []string // what happened, and what to do
	begun  bool     // a session is there from before
}

// lies are id tokens that are not accepted.
func lies() map[string]refusedSignIn {
	claim := func(name string, value any, says ...string) refusedSignIn {
		if says == nil {
			says = []string{"could not be verified", "Tell your administrator"}
		}
		return refusedSignIn{
			status: http.StatusForbidden, says: says,
			knobs: func(k *graphtest.Knobs) { k.IDToken = func(c map[string]any) { c[name] = value } },
		}
	}
	return map[string]refusedSignIn{
		"another tenant":   claim("tid", "99999999-6d4d-4958-8b9f-9d6445542f95", "another organization", "Sign in with your account"),
		"another audience": claim("aud", "99999999-c791-4ee6-9098-614ecdb003f6"),
		"another issuer":   claim("iss", "https://evil.example.com/v2.0"),
		"another nonce":    claim("nonce", "another"),
		"no nonce":         claim("nonce", ""),
		"no person":        claim("oid", ""),
		"an odd person":    claim("oid", "../../x"),
		"ended":            claim("exp", time.Now().Add(-time.Hour).Unix()),
		"unknown to Graph": claim("oid", "5b0c3a9e-9999-4c1d-8a2b-3c4d5e6f7081", "does not know your account", "Ask your administrator"),
		"clock off": {
			knobs:  func(k *graphtest.Knobs) { k.ClockAhead = 10 * time.Minute },
			status: http.StatusServiceUnavailable, says: []string{"clock of the print service is wrong by 10m0s", "with NTP"},
		},
	}
}

// otherBrowsers come back with what they did not begin, or too late, or twice.
func otherBrowsers() map[string]refusedSignIn {
	change := func(at, name, value string) string {
		u, _ := url.Parse(at)
		q := u.Query()
		q.Set(name, value)
		u.RawQuery = q.Encode()
		return u.String()
	}
	bad := func(says string, before func(v *browser, at string) string) refusedSignIn {
		return refusedSignIn{before: before, status: http.StatusBadRequest, says: []string{says, "Sign in again"}}
	}
	const other = "has not begun this sign-in"
	again := bad("was used already", func(v *browser, at string) string {
		name, pending := v.pending(at)
		v.open(at)
		v.put(name, pending)
		return at
	})
	again.begun = true
	guessed := bad("(AADSTS9002313)", func(_ *browser, at string) string { return change(at, "code", "guessed") })
	guessed.status, guessed.says[1] = http.StatusForbidden, "Tell your administrator"
	return map[string]refusedSignIn{
		"another browser": bad(other, func(v *browser, at string) string { v.jar, _ = cookiejar.New(nil); return at }),
		"another state":   bad(other, func(_ *browser, at string) string { return change(at, "state", "guessed") }),
		"no code":         bad("was used already", func(_ *browser, at string) string { return change(at, "code", "") }),
		"a cookie of one's own": bad("took too long", func(v *browser, at string) string {
			name, _ := v.pending(at)
			v.put(name, "QUFB")
			return at
		}),
		"too late": bad("took too long", func(v *browser, at string) string {
			name, pending := v.pending(at)
			time.Sleep(10 * time.Minute)
			v.put(name, pending)
			return at
		}),
		"code used twice": again, "a guessed code": guessed,
	}
}

// refusals are those of Entra.
func (s *site) refusals() map[string]refusedSignIn {
	by := func(kind string, code int, says ...string) refusedSignIn {
		return refusedSignIn{kind: kind, code: code, status: http.StatusForbidden, says: says}
	}
	down := func(turn func(bool)) refusedSignIn {
		return refusedSignIn{
			before: func(_ *browser, at string) string { turn(true); return at },
			status: http.StatusServiceUnavailable, says: []string{"Microsoft does not answer", "Try again in a minute"},
		}
	}
	disabled := by("", 0, "Your account is disabled", "Ask whoever looks after accounts")
	disabled.before = func(v *browser, at string) string { s.disable(annaID, true); return at }
	forged := by("", 0, "could not be verified", "Tell your administrator")
	forged.before = func(_ *browser, at string) string { s.sim.ForgeIDTokens(true); return at }
	busy := by("temporarily_unavailable", 90033, "Microsoft does not answer", "Try again in a minute")
	busy.status = http.StatusServiceUnavailable
	return map[string]refusedSignIn{
		"consent":            by("consent_required", 65001, "has not allowed this application", "grant admin consent"),
		"Conditional Access": by("access_denied", 53003, "Conditional Access policy", "Try from a device"),
		"not assigned":       by("access_denied", 50105, "not assigned to this application", "Users and groups"),
		"declined":           by("access_denied", 65004, "You canceled", "Sign in again"),
		"unreachable":        down(s.sim.Unreachable), "out": down(s.sim.Outage),
		"temporarily": busy, "disabled meanwhile": disabled, "forged key": forged,
	}
}

func (s *site) disable(person string, on bool) {
	if err := s.sim.ChangeUser(person, func(u *graphtest.User) { u.Disabled = on }); err != nil {
		s.t.Fatal(err)
	}
}

// Each way in which a sign-in fails ends in a page that says what happened and what to do, with nobody
// signed in, and in a line of the log without anything secret.
func TestSignInRefused(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		for _, cases := range []map[string]refusedSignIn{lies(), otherBrowsers(), s.refusals()} {
			for name, c := range cases {
				s.refused(s.browser(), name, c)
			}
		}
	})
}

// refused has a sign-in of a browser fail, and returns the page that it ends in.
func (s *site) refused(v *browser, name string, c refusedSignIn) shown {
	v.stopAt("/auth/sign-in?then=%2F", "login.microsoftonline.com") // Entra's configuration is known from now on
	s.sim.RefuseSignIns(c.kind, c.code)
	at := v.atCallback(annaID)
	if c.knobs != nil {
		s.sim.Change(c.knobs)
	}
	if c.before != nil {
		at = c.before(v, at)
	}
	s.logs.TakeAll()
	page := v.open(at)
	v.sees(page, c.status, c.says...)
	if !c.begun && v.cookies()[sessionCookie] != "" {
		s.t.Errorf("%s: somebody is signed in", name)
	}
	u, _ := url.Parse(at)
	lines := s.logs.TakeAll()
	for _, e := range lines {
		line := fmt.Sprint(e.Message, e.ContextMap())
		if code := u.Query().Get("code"); code != "" && strings.Contains(line, code) || strings.Contains(line, "eyJ") ||
			strings.Contains(line, annaID) {
			s.t.Errorf("%s: logged %q", name, line)
		}
	}
	if len(lines) != 1 || lines[0].Message != "sign-in of a person refused" {
		s.t.Errorf("%s: logged %d lines", name, len(lines))
	}
	s.sim.RefuseSignIns("", 0)
	s.sim.ForgeIDTokens(false)
	s.sim.Unreachable(false)
	s.sim.Outage(false)
	s.sim.Change(func(k *graphtest.Knobs) { k.IDToken, k.ClockAhead = nil, 0 })
	s.disable(annaID, false)
	return page
}

// Entra's keys rotate: a token that is signed with a new one is accepted at once.
func TestSignInWithRotatedKeys(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		for range 3 {
			v := s.browser()
			v.sees(v.signIn(annaID, "/"), http.StatusOK, "anna@contoso.com")
			s.sim.RotateKeys()
		}
	})
}

// Entra is down before anybody signed in, and while people are signed in: who is there works on until
// it has to be asked, and is told then.
func TestSignInWhileEntraIsDown(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		fresh := s.browser()
		s.sim.Unreachable(true)
		fresh.sees(fresh.open("/auth/sign-in?then=%2F"), http.StatusServiceUnavailable, "Microsoft does not answer", "Try again")
		s.sim.Unreachable(false)
		v := s.browser()
		v.signIn(annaID, "/")
		s.sim.Unreachable(true)
		v.sees(v.open("/"), http.StatusOK, "Signed in as "+annaID) // Graph does not tell the name
		time.Sleep(15 * time.Minute)
		v.sees(v.send("/jobs/p/j/cancel", url.Values{"reason": {"x"}}), http.StatusForbidden, "Nothing was done")
		s.sim.Unreachable(false)
		v.sees(v.open("/"), http.StatusOK, "anna@contoso.com")
	})
}

// A flood of sign-ins that were begun leaves nothing in the store but the key of the cookies.
func TestSignInFlood(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		get(s.pages, "/auth/sign-in?then=%2F")
		before := s.keys()
		for range 200 {
			get(s.pages, "/auth/sign-in?then=%2F")
			get(s.pages, "/auth/callback?code=x&state=y")
		}
		if after := s.keys(); after != before {
			t.Errorf("%d keys in the store, then %d", before, after)
		}
	})
}

// keys is how many keys the store has.
func (s *site) keys() (n int) {
	s.t.Helper()
	err := s.bus.State().Each(s.t.Context(), ">", func(string, []byte, uint64) error { n++; return nil })
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// A token at the console is recorded and warned of once people can sign in.
func TestTokenBesideSignIn(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		v := s.browser()
		v.send("/login", url.Values{"token": {testTokens["admin"]}})
		asked := s.pages.Jobs.(*noJobs).asked
		if len(asked) != 1 || !strings.HasPrefix(asked[0], "token-sign-in admin") {
			t.Errorf("audit %q", asked)
		}
		req := v.request("/")
		for _, c := range send(s.pages, "/login", "same-origin", url.Values{"token": {testTokens["admin"]}}).Result().Cookies() {
			req.AddCookie(c)
		}
		rec := getWith(s.pages, req)
		if rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "A token is signed in here") {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	})
}
