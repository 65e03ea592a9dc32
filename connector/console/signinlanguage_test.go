package console

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"pullprint/connector/catalog"
	"pullprint/connector/console/view/viewtest"
	"pullprint/trigger/graph/graphtest"
)

// signInPages are the pages for signing in and out, and those that say to somebody that they can't go on, as a
// browser sees them.
func (s *site) signInPages(v *browser) map[string]shown {
	v.t.Helper()
	form := url.Values{}
	pages := map[string]shown{
		"own page": v.open("/me"), "console": v.open("/"), "wrong token": v.send("/login", url.Values{"token": {"x"}}),
		"no page": v.open("/none"), "no device": v.open("/station/none"), "station": v.open("/station/west"),
	}
	pages["no role"] = v.signIn(carlaID, "/")
	time.Sleep(15 * time.Minute)
	pages["confirms"], pages["form"] = v.open("/?owner=x"), v.send("/me/lend/end", form)
	pages["signed out"] = v.send("/auth/sign-out", form)
	v.signIn(doraID, "/")
	pages["operators"], pages["administrators"] = v.send("/jobs/bulk", form), v.open("/audit")
	v.send("/auth/sign-out", form)
	v.send("/login", url.Values{"token": {testTokens["read"]}})
	pages["token"] = v.send("/jobs/bulk", form)
	return pages
}

// refusedPages are those that say why a sign-in failed, to a browser that wishes for a language.
func (s *site) refusedPages(code string) map[string]string {
	pages := map[string]string{}
	for _, cases := range []map[string]refusedSignIn{lies(), otherBrowsers(), s.refusals()} {
		for name, c := range cases {
			v := s.browser()
			v.speaks, c.says = code, nil
			pages[name] = s.refused(v, name, c).text
		}
	}
	return pages
}

// The pages for signing in are written in one language, also those that say why a sign-in failed.
func TestSignInPagesInOneLanguage(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		english := s.signInPages(s.browser())
		refused := s.refusedPages("en")
		for _, code := range catalog.Languages() {
			if code == "en" {
				continue
			}
			v := s.browser()
			v.speaks = code
			for name, page := range s.signInPages(v) {
				viewtest.OneLanguage(t, name, code, page.text, english[name].text)
			}
			for name, page := range s.refusedPages(code) {
				viewtest.OneLanguage(t, name, code, page, refused[name])
			}
		}
	})
}

// Who is known reads what the directory says they read, whatever the browser wishes for.
func TestSignInPagesOfAPerson(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		if err := s.sim.ChangeUser(carlaID, func(u *graphtest.User) { u.Language = "pl-PL" }); err != nil {
			t.Fatal(err)
		}
		v := s.browser()
		v.speaks = "zh, fr;q=0.5"
		v.sees(v.open("/me"), http.StatusUnauthorized, "Vos travaux d", "Se connecter")
		v.sees(v.signIn(carlaID, "/"), http.StatusForbidden, "Nie masz tu żadnej roli")
		time.Sleep(15 * time.Minute)
		v.sees(v.send("/me/lend/end", url.Values{}), http.StatusForbidden, "Niczego nie wykonano")
	})
}
