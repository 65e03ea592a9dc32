package console

import (
	"context"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pullprint/connector/access"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

const (
	sessionCookie = "__Host-pullprint"
	pendingName   = "__Host-pullprint-sign-in-" // and the beginning of the state
)

// signedIn runs a test in virtual time with a site.
func onSite(t *testing.T, fn func(t *testing.T, s *site)) {
	t.Helper()
	bustest.Virtual(t, func(t *testing.T) { fn(t, newSite(t)) })
}

// A person signs in with Entra, by an app role or a group, at one replica and finishes at another,
// and is who the pages say. The cookie is the site's own, and new at each sign-in.
func TestSignIn(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		v := s.browser()
		page := v.open("/")
		v.sees(page, http.StatusUnauthorized, "Sign in with Microsoft")
		atEntra := v.open("/auth/sign-in?then=%2F")
		v.at, _ = s.replica()
		v.sees(v.choose(atEntra, annaID), http.StatusOK, "Signed in as anna@contoso.com", "Print jobs")
		first := v.cookies()[sessionCookie]
		if first == "" || len(v.cookies()) != 1 {
			t.Errorf("cookies %v", v.cookies())
		}
		v.signIn(annaID, "/")
		if second := v.cookies()[sessionCookie]; second == first || second == "" {
			t.Error("the session has the same id after another sign-in")
		}
		stale := s.browser()
		stale.put(sessionCookie, first)
		stale.sees(stale.open("/"), http.StatusUnauthorized, "Sign in with Microsoft")
		for person, words := range map[string]string{bertID: "bert@contoso.com", doraID: "dora@contoso.com"} {
			other := s.browser()
			other.sees(other.signIn(person, "/"), http.StatusOK, words)
		}
		none := s.browser()
		noRole := none.signIn(carlaID, "/")
		none.sees(noRole, http.StatusForbidden, "carla@contoso.com", "may not use the console")
		none.offers(noRole, "My jobs", "Sign in")
	})
}

// The attributes of the cookies keep other sites and scripts from them.
func TestSignInCookies(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		rec := get(s.pages, "/auth/sign-in?then=%2F")
		c := rec.Result().Cookies()
		if len(c) != 1 || !strings.HasPrefix(c[0].Name, pendingName) || !c[0].Secure || !c[0].HttpOnly ||
			c[0].SameSite != http.SameSiteLaxMode ||
			c[0].Path != "/" || c[0].Domain != "" || c[0].MaxAge != 600 {
			t.Errorf("cookies %+v", c)
		}
		to, err := url.Parse(rec.Header().Get("Location"))
		q := to.Query()
		if err != nil || q.Get("response_mode") != "query" || q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" ||
			q.Get("redirect_uri") != siteURL+"/auth/callback" || q.Get("scope") != "openid profile" {
			t.Errorf("sent to %s", to)
		}
		for _, secret := range []string{q.Get("state"), q.Get("nonce")} {
			if strings.Contains(c[0].Value, secret) {
				t.Error("the cookie can be read")
			}
		}
	})
}

// No sign-in ends at another site, whatever an address says.
func TestSignInLeadsNowhereElse(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		for _, then := range []string{
			"https://evil.example.com/", "//evil.example.com/", `/\evil.example.com`, "https:evil.example.com", "/..//evil.example.com",
			"///evil.example.com", "\t//evil.example.com", "javascript:alert(1)", "/auth/sign-in?then=/",
			"/auth/sign-out", "%2f%2fevil.example.com",
		} {
			v := s.browser()
			page := v.choose(v.open("/auth/sign-in?"+url.Values{"then": {then}, "choose": {"1"}}.Encode()), annaID)
			if page.at.Host != "print.example.com" || strings.HasPrefix(page.at.Path, "/auth/") {
				t.Errorf("%q ends at %s", then, page.at)
			}
		}
		v := s.browser()
		if page := v.signIn(annaID, "/?queue=Follow-Me&state="); page.at.String() != siteURL+"/?queue=Follow-Me&state=" {
			t.Errorf("an own page ends at %s", page.at)
		}
	})
}

// A session lasts as long as it is configured, is confirmed at Entra after 15 minutes by the next
// page, and a form is refused until then.
func TestSignInIsConfirmed(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		v := s.browser()
		v.signIn(annaID, "/")
		time.Sleep(15*time.Minute - time.Second)
		v.seen = nil
		v.sees(v.open("/"), http.StatusOK, "anna@contoso.com")
		if len(v.seen) != 1 {
			t.Errorf("within 15 minutes: %q", v.seen)
		}
		time.Sleep(2 * time.Second)
		page := v.send("/jobs/p/j/cancel", url.Values{"reason": {"x"}})
		v.sees(page, http.StatusForbidden, "Nothing was done", "Microsoft has to confirm")
		if !strings.Contains(page.text, "then=%2Fjobs%2Fp%2Fj") {
			t.Errorf("no way back:\n%s", page.text)
		}
		v.seen = nil
		// Browsers follow no form to another site by redirects: such a page leads on by itself.
		page = v.open("/?queue=&state=")
		v.sees(page, http.StatusUnauthorized, "One moment")
		leads := access.Asked{Then: "/?queue=&state=", Silent: true}.Path()
		if !strings.Contains(html.UnescapeString(page.text), `http-equiv="refresh" content="1; url=`+leads+`"`) {
			t.Errorf("it leads elsewhere:\n%s", page.text)
		}
		v.sees(v.open(leads), http.StatusOK, "anna@contoso.com")
		if len(v.seen) < 4 || !strings.Contains(strings.Join(v.seen, " "), "prompt=none") {
			t.Errorf("after 15 minutes: %q", v.seen)
		}
		for range 8 * 4 { // all day long, at most the length of a session
			time.Sleep(15 * time.Minute)
			v.open("/")
		}
		v.sees(v.open("/"), http.StatusUnauthorized, "Sign in with Microsoft")
	})
}

// A role that is taken away, an account that is disabled and a sign-out at Entra end what a person may
// do within 15 minutes.
func TestSignInEnds(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		change := func(id string, change func(*graphtest.User)) {
			if err := s.sim.ChangeUser(id, change); err != nil {
				t.Fatal(err)
			}
		}
		anna, bert, dora := s.browser(), s.browser(), s.browser()
		anna.signIn(annaID, "/")
		bert.signIn(bertID, "/")
		dora.signIn(doraID, "/")
		change(annaID, func(u *graphtest.User) { u.AppRoles = nil })
		change(bertID, func(u *graphtest.User) { u.Groups = nil })
		change(doraID, func(u *graphtest.User) { u.Disabled = true })
		time.Sleep(15 * time.Minute)
		anna.sees(anna.open("/"), http.StatusForbidden, "may not use the console")
		bert.sees(bert.open("/"), http.StatusForbidden, "may not use the console")
		if page := dora.open("/"); page.at.Host != "login.microsoftonline.com" {
			t.Errorf("a disabled account comes to %s", page.at)
		}
		dora.sees(dora.open("/"), http.StatusUnauthorized, "Sign in with Microsoft") // its session has ended
		anna.signIn(annaID, "/")
		anna.open(entraURL + "/" + s.sim.Tenant() + "/oauth2/v2.0/logout")
		time.Sleep(15 * time.Minute)
		if page := anna.open("/"); page.at.Host != "login.microsoftonline.com" || !strings.Contains(page.text, "Who signs in?") {
			t.Errorf("signed out at Entra: %s", page.at)
		}
	})
}

// Signing out ends every session of the person, at each replica, and none of others. A confirmation
// that is under way does not bring one back.
func TestSignOutEverywhere(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		phone, desk, other := s.browser(), s.browser(), s.browser()
		phone.signIn(annaID, "/")
		desk.signIn(annaID, "/")
		other.signIn(bertID, "/")
		desk.at, _ = s.replica()
		late := phone.cookies()[sessionCookie]
		out := phone.send("/auth/sign-out", url.Values{})
		phone.sees(out, http.StatusOK, "signed out of the print service")
		phone.offers(out, "Sign out of Microsoft", "Sign in")
		if phone.cookies()[sessionCookie] != "" {
			t.Error("the cookie is left")
		}
		phone.put(sessionCookie, late)
		for _, v := range []*browser{phone, desk} {
			v.sees(v.open("/"), http.StatusUnauthorized, "Sign in with Microsoft")
		}
		other.sees(other.open("/"), http.StatusOK, "bert@contoso.com")
		phone.sees(phone.signIn(annaID, "/"), http.StatusOK, "anna@contoso.com")
		time.Sleep(15 * time.Minute)
		atEntra := phone.stopAt("/", "login.microsoftonline.com") // a confirmation is under way
		if err := s.pages.Callers.Sessions.EndPerson(context.Background(), annaID); err != nil {
			t.Fatal(err)
		}
		phone.sees(phone.open(atEntra), http.StatusUnauthorized, "Sign in with Microsoft")
	})
}

// Two people with one browser: the second is never taken for the first.
func TestTwoPeopleOnOnePhone(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		v := s.browser()
		v.signIn(annaID, "/")
		v.signIn(bertID, "/")
		v.sees(v.open("/"), http.StatusOK, "bert@contoso.com")
		// Entra's session becomes another person's behind our back.
		v.open(entraURL + "/" + s.sim.Tenant() + "/oauth2/v2.0/logout")
		other := v.open("/auth/sign-in?then=%2F")
		bert := v.cookies()[sessionCookie]
		v.choose(other, annaID)
		v.put(sessionCookie, bert)
		if _, state, _ := s.pages.Callers.Sessions.Person(v.request("/")); state != access.Nobody {
			t.Error("the session before a sign-in goes on")
		}
		v.signIn(bertID, "/")
		bert = v.cookies()[sessionCookie]
		fresh := s.browser()
		fresh.signIn(annaID, "/")
		fresh.put(sessionCookie, bert)
		time.Sleep(15 * time.Minute)
		if page := fresh.open("/"); page.at.Host != "login.microsoftonline.com" || !strings.Contains(page.text, "Who signs in?") {
			t.Errorf("another account at Entra confirms the session: %s %s", page.at, page.text)
		}
	})
}
