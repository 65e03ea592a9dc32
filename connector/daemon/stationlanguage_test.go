package daemon_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// accepts sends the languages of a browser.
type accepts struct {
	http.RoundTripper
	languages string
}

func (a *accepts) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Header.Set("Accept-Language", a.languages)
	return a.RoundTripper.RoundTrip(req)
}

// A page is in the language of the person, else in that of the browser, else in that of the
// stations; a policy's text stays in one of its own.
func TestStationLanguage(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.more = "station: {language: it, zone: America/New_York, titles: shown, help: Call 4711}"
		o.install("embedded: {store_dir: nats, max_store: 256MiB}")
		o.write("policy.yaml", `language: nl
rules:
  - {name: late, at: release, when: 'job.copies > 5', verdict: keep, reason: copies.many,
     text: {de: Zu viele., nl: Te veel.}, remedy: {de: Weniger., nl: Minder.}}
`)
		o.sim.AddUser(graphtest.User{ID: guestID, UPN: "guest@contoso.com", GivenName: "Zofia", Language: "pl-PL"})
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		s.enrol(guestID, number)
		s.enrol(teacherID, teachersCard)
		for _, user := range []string{guestID, teacherID} {
			if _, err := s.sim.Submit(graphtest.JobSpec{Printer: pullID, User: user, Copies: 7, Name: "Plan <b>.pdf"}); err != nil {
				t.Fatal(err)
			}
		}
		s.await("jobs held", 10*time.Second, func() bool { return len(s.all()) == 2 })
		c := o.screen()
		c.get("")
		c.sees(`<html lang="it">`, "Mostri il badge", "Domande? Call 4711")
		browser := &accepts{c.client.Transport, "zh, fr-CA;q=0.8, de;q=0.3"}
		c.client.Transport = browser
		c.get("")
		c.sees(`<html lang="fr">`, "Présentez votre badge")
		c.badge("9999")
		c.sees(`<html lang="fr">`, "Aucun travail n’attend ici pour ce badge.")
		c.badge(number)
		newYork, err := time.LoadLocation("America/New_York")
		if err != nil {
			t.Fatal(err)
		}
		c.sees(`<html lang="pl">`, "Twoje zadania, Zofia", "Plan <b>.pdf", "7 kopii", "Te veel.", "Minder.",
			time.Now().In(newYork).Format("15:04"))
		c.badge(teachersCard)
		c.sees(`<html lang="fr">`, "Vos travaux", "7 exemplaires", "Te veel.")
		if strings.Contains(c.page, "Print") {
			t.Errorf("English in a French page:\n%s", c.page)
		}
	})
}
