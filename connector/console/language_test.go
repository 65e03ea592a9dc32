package console

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pullprint/connector/admin"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/catalog"
	"pullprint/connector/console/view"
	"pullprint/connector/console/view/viewtest"
	"pullprint/connector/decision"
	"pullprint/connector/evaluate"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/policy"
	"pullprint/policy/badge"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

// deskReason is a decision of the program as it is stored.
func deskReason(code string) decision.Decision {
	own, _ := reasons.Of(code)
	return decision.Decision{
		Ref: graph.Ref{Printer: "p", Job: "§job"}, Queue: "§queue", Point: "release", Verdict: "keep", Rule: "§rule", Device: "§device",
		Reason: code, Text: own.Text, Remedy: own.Remedy, At: time.Now(),
	}
}

// tracedJob is a job with everything that its page can show.
func tracedJob() jobPage {
	now, r := time.Now(), deskReason(reasons.QuotaExhausted)
	detail := apiclient.JobDetail{Job: job.Record{
		Ref: graph.Ref{Printer: "p", Job: "§job"}, Queue: "§queue", Owner: "§owner", State: job.Held, Created: now, HoldUntil: now,
		Decision: r, Release: &job.Release{Device: "§device", Printer: "§printer", Job: "§job"},
		Pages: &decision.Pages{Count: 2, Estimated: true}, Paper: &job.Paper{State: paper.Failed, At: now},
	}}
	origins := []decision.Origin{
		decision.AskedByArrival, decision.AskedByBadge, decision.AskedByPIN, decision.AskedByStation, decision.AskedByToken,
		decision.AskedBySignIn, decision.AskedByPhone, decision.AskedByRemote, decision.AskedByErasure, decision.AskedBySweep,
	}
	for _, asked := range origins {
		for _, actor := range []string{"", "§actor"} {
			detail.Trace = append(detail.Trace, apiclient.Event{
				At: now, Kind: "decision", Asked: asked, Actor: actor, Point: "release", Verdict: "keep", Rule: "§rule",
				Device: "§device",
				Reason: r.Reason, Text: r.Text, SetBy: "§rules", Accounts: []string{"§account"}, Cost: quota.Unit,
				Unknown: []decision.Unknown{{Dependency: "§graph", Mode: "§open"}}, Error: "strange",
				Shadow: &decision.Shadow{Verdict: "abort"}, Answer: &decision.Answer{Operation: "redirect", ReadBack: true},
			})
		}
	}
	for _, state := range admin.States {
		detail.Trace = append(detail.Trace, apiclient.Event{At: now, Kind: "state", State: state, Note: "as the log says"})
	}
	detail.Trace = append(detail.Trace, apiclient.Event{At: now, Kind: "created", Note: "sent to §queue"},
		apiclient.Event{At: now, Kind: "action", Note: "cancel", Actor: "§actor", Device: "§device"})
	left := release.BalanceText{Account: "§account", Rest: quota.Unit, Of: 2 * quota.Unit, Renews: now}
	return jobPage{
		JobDetail: detail, Devices: []string{"§device"}, Balances: []release.BalanceText{left},
		Quote: release.Quote{
			Price: "3 pages", Cost: 3 * quota.Unit,
			Reason: release.Reason{Code: r.Reason, Text: r.Text, Remedy: r.Remedy},
		},
	}
}

// deskData are the data of all pages of the console, by the names of their templates: with everything that they
// can show, and with nothing.
func deskData(in view.Words) map[string]any {
	now, r := time.Now(), deskReason(reasons.DeviceUnavailable)
	old, soon := now.Add(-72*time.Hour), now.Add(time.Hour)
	jobs := jobsPage{JobList: apiclient.JobList{Next: "n"}}
	for _, state := range admin.States {
		jobs.Jobs = append(jobs.Jobs, apiclient.JobEntry{
			Ref: graph.Ref{Printer: "p", Job: "§job"}, Owner: "§owner", Queue: "§queue", State: state, Seen: old,
			HoldUntil: soon, Reason: r.Reason,
		})
	}
	account := evaluate.AccountStatus{Account: "center.lab", Balances: []evaluate.Balance{
		{Limit: 9 * quota.Unit, Reserved: quota.Unit, Adjusted: quota.Unit, Left: quota.Unit, Renews: soon},
	}}
	badges := []badge.Badge{
		{ID: "§id", Owner: "§owner", Enrolled: old, By: "§by", Expires: soon},
		{ID: "§id", Owner: "§owner", Enrolled: old, Expires: old},
		{ID: "§id", Owner: "§owner", Enrolled: old, Revoked: old},
	}
	console := consolePage{
		Queues: []queueLine{{"§queue", "pull", 2}}, States: admin.States, Jobs: jobs, Decisions: []decision.Decision{r},
		Devices: []deviceLine{
			{DeviceEntry: apiclient.DeviceEntry{ID: "§device", LockedUntil: soon}},
			{DeviceEntry: apiclient.DeviceEntry{ID: "§device", Silent: true, Heard: old}},
			{DeviceEntry: apiclient.DeviceEntry{ID: "§device", Heard: now}},
		},
		Health: healthLines{
			Wrong: []healthLine{{Name: "graph", Text: "no answer", English: true}},
			Well:  []healthLine{{Name: "sweep", Text: in.Text("not by this instance yet")}},
		},
		Failures: []index.Failures{{Device: "§device", Jobs: 2, Last: old, Detail: "paper jam"}},
	}
	live := console
	live.Live = true
	settings := []Setting{{"a.key", "on"}, {"a.key", ""}}
	parts := []policy.Part{
		{Kind: "rule", Name: "§name", At: "release", When: "true", Verdict: "keep", Sets: true}, {Kind: "allowance", Name: "§name"},
	}
	return map[string]any{
		"console": console, "console live": live, "console empty": consolePage{}, "job": tracedJob(), "job empty": jobPage{},
		"people": peoplePage{}, "people found": peoplePage{Text: "§a", Found: make([]graph.Named, 1), More: true},
		"people none": peoplePage{Text: "§a"},
		"person": personPage{
			ID: "§id", Admin: true, Account: account, Badges: badges, Jobs: jobs, Decisions: []decision.Decision{r},
			Done: in.Text(doneTo["revoked"]), Codes: codeTitles,
		},
		"person empty": personPage{Account: evaluate.AccountStatus{NoUser: true}},
		"code":         codePage{apiclient.CodeIssued{Code: "§code", Expires: soon}, "badge"},
		"code pin":     codePage{apiclient.CodeIssued{Code: "§code", Expires: soon}, "pin"},
		"bulk": bulkPage{Lines: []bulkLine{
			{Done: in.Text("released")}, {Done: in.Text("canceled")}, {Wrong: "§wrong", English: "strange"},
		}},
		"audit": auditPage{Since: "24h", Spans: spans, Later: "/audit", Actions: []apiclient.Action{{
			At: now, Action: "cancel", Actor: "§actor", Ref: graph.Ref{Printer: "p", Job: "§job"},
			Owner: "§owner", To: "§to", Badge: "§id",
			Account: "center.lab", Device: "§device", Count: 2, Note: "§note",
		}}},
		"audit empty": auditPage{Spans: spans},
		"badges":      badgesPage{BadgeList: apiclient.BadgeList{Badges: badges, Next: "n"}}, "badges empty": badgesPage{},
		"accounts": accountsPage{Accounts: []evaluate.AccountStatus{account}, More: 2}, "accounts empty": accountsPage{},
		"account": accountPage{
			AccountStatus: account, Admin: true, Done: in.Text(doneTo["adjusted"]),
			History: []quota.Entry{{At: now, Kind: quota.Settled, Job: "§job", Amount: quota.Unit, By: "§by", Why: "§why"}},
		},
		"account empty": accountPage{},
		"policy":        policyPage{Hash: "§hash", Parts: parts, Hits: map[string]Hit{"§name": {2, old}}, Since: old, Settings: settings},
		"policy empty":  policyPage{},
	}
}

// The pages of the console are written in one language, whatever they show.
func TestConsolePagesInOneLanguage(t *testing.T) {
	p := newPages(t)
	p.Devices = []printer.Device{{ID: "§west"}}
	write := func(in view.Words, name string, data any) string {
		template, _, _ := strings.Cut(name, " ")
		var text bytes.Buffer
		shown := view.Page{In: in, Title: "§title", Caller: "§user", Operate: true, Now: time.Now(), Data: data}
		if err := p.Site.Execute(&text, template, shown); err != nil {
			t.Fatal(name, err)
		}
		return text.String()
	}
	en := p.Site.Words("en")
	english := deskData(en)
	for _, code := range catalog.Languages() {
		if code == "en" {
			continue
		}
		in := p.Site.Words(code)
		for name, data := range deskData(in) {
			viewtest.OneLanguage(t, name, code, write(in, name, data), write(en, name, english[name]))
		}
	}
}

// An error is told in the language of the page as far as it has words for it; the rest is said to be English.
func TestConsoleErrorsInOneLanguage(t *testing.T) {
	s := newPages(t).Site
	full := "This job costs 60 pages, and you have 49 pages left until Friday."
	for _, c := range []struct {
		err                 error
		told, told2, inside string
	}{
		{errNoReason, "Nichts wurde ausgeführt. Geben Sie einen Grund an: Er steht im Prüfprotokoll.", "", ""},
		{fmt.Errorf("%w: 100 %%d", job.ErrInvalid), "Die Anfrage ist nicht gültig.", "100 %d", "The request is not valid. 100 %d"},
		{errors.New("strange"), "Das geht im Moment nicht. Versuchen Sie es", "", "It can't be done at the moment. Try again"},
		{&apiclient.Problem{Title: "Unheard of", Detail: "100 %d."}, "Das hat nicht geklappt.", "100 %d.", "Unheard of. 100 %d."},
		{
			refusedError{release.Reason{Code: reasons.QuotaExhausted, Text: full, Remedy: "Print fewer pages."}},
			"Der Auftrag wartet nicht. Das Druckbudget des Eigentümers reicht", "",
			"The job is not held. This job costs 60 pages, and its owner has",
		},
	} {
		told, english := why(s.Words("de"), c.err)
		if !strings.HasPrefix(told, c.told) || english != c.told2 {
			t.Errorf("%v: %q, %q", c.err, told, english)
		}
		if told, english := why(s.Words("en"), c.err); c.inside != "" && !strings.HasPrefix(told, c.inside) || english != "" {
			t.Errorf("%v in English: %q, %q", c.err, told, english)
		}
	}
}

// Who is signed in reads the console as the directory says they read, a token as its browser wishes.
func TestConsoleSpeaksToItsReader(t *testing.T) {
	onSite(t, func(t *testing.T, s *site) {
		if err := s.sim.ChangeUser(annaID, func(u *graphtest.User) { u.Language = "pl-PL" }); err != nil {
			t.Fatal(err)
		}
		v := s.browser()
		v.speaks = "fr"
		v.signIn(annaID, "/")
		policy := v.open("/policy")
		v.sees(policy, http.StatusOK, "Obowiązuje", "Zasady")
		if !strings.Contains(policy.text, `<html lang="pl">`) {
			t.Error(policy.text)
		}
		v.sees(v.open("/people/none"), http.StatusNotFound, "Nie ma takiej osoby", "Do konsoli")
		v = s.browser()
		v.speaks = "fr"
		v.send("/login", url.Values{"token": {testTokens["admin"]}})
		v.sees(v.open("/policy"), http.StatusOK, "En vigueur", "Travaux")
		v.sees(v.open("/jobs/p/j"), http.StatusNotFound, "Ce travail n", "existe pas", "No record of this job.")
		v.sees(v.send("/jobs/bulk", url.Values{}), http.StatusUnprocessableEntity, "Rien n", "Indiquez un motif")
	})
}
