package daemon_test

import (
	"net/url"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// A person's own pages are in the language that the directory says they read, else in that of the browser, else
// in that of the stations.
func TestOwnPageLanguage(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.more = "station: {language: it}"
		o.install("embedded: {store_dir: nats, max_store: 256MiB}")
		o.peopleSignIn("http://" + o.admin())
		o.fromAfar()
		o.sim.AddUser(graphtest.User{ID: guestID, UPN: "guest@contoso.com", Language: "pl-PL"})
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		held := s.hold(1)[0]
		student, guest := o.surfer(), o.surfer()
		student.says(student.signIn(studentID, "/me"), []string{"I suoi lavori di stampa", "In attesa", "Accesso effettuato"}, nil)
		for _, c := range []*surfer{student, guest} {
			c.client.Transport = &accepts{c.client.Transport, "zh, fr-CA;q=0.8, de;q=0.3"}
		}
		guest.says(guest.signIn(guestID, "/me"), []string{"Twoje zadania drukowania", "Nie czeka żadne Twoje zadanie"}, nil)
		ask := "/me/jobs/" + held.Printer + "/" + held.Job + "/cancel"
		for address, says := range map[string]string{
			"/me": "Vos travaux d’impression", "/me/print": "Où voulez-vous imprimer\u00a0?", "/me/lend": "Nom de votre collègue",
			ask: "Supprimer ce travail\u00a0?", "/me/jobs/none/0/cancel": "Ce travail n’est plus en attente",
		} {
			_, text := student.load(address, nil)
			student.says(text, []string{says}, []string{"Print ", "Back", "Delete", "job"})
		}
		_, text := student.load("/me/lend/find", url.Values{"name": {"x"}})
		student.says(text, []string{"Saisissez au moins trois lettres du nom."}, nil)
		_, text = student.load("/me/print", url.Values{"device": {"hq-2-west"}, "job": jobField(held)})
		student.says(text, []string{"Vos travaux sont en cours", "Envoyés à"}, nil)
		pass(10 * time.Second)
		_, text = student.load("/me", nil)
		student.says(text, []string{"Vos derniers travaux"}, []string{"printed", "sent", "way"})
	})
}
