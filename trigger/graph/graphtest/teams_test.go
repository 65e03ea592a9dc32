package graphtest

import (
	"encoding/json"
	"strings"
	"testing"
)

// sendActivityNotification refuses what Graph refuses, in its order of who may send before what is sent, and an
// entry takes the place of the one with its chain.
func TestSendActivity(t *testing.T) {
	o := newOffice(t, Calm())
	send := func(body string) answer {
		t.Helper()
		a, err := o.try("POST", "/users/"+o.user.ID+"/teamwork/sendActivityNotification", json.RawMessage(body))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	entry := func(change ...string) string {
		return strings.NewReplacer(change...).Replace(`{"topic":{"source":"text","value":"Jobs",` +
			`"webUrl":"https://teams.microsoft.com/l/entity/a/jobs"},"activityType":"jobAborted","chainId":7,` +
			`"previewText":{"content":"Why"},"templateParameters":[{"name":"subject","value":"Not printed"}]}`)
	}
	if a := send(entry()); a.status != 403 || a.code() != "Forbidden" {
		t.Errorf("without a right: %+v", a)
	}
	o.sim.AddApp(App{ClientID: o.app.ClientID, Secret: o.app.Secret, Roles: []string{"TeamsActivity.Send"}})
	o.bearer = o.sim.AppToken(o.app.ClientID)
	if a := send(entry()); a.status != 403 || a.code() != "Forbidden" {
		t.Errorf("without the app: %+v", a)
	}
	app := o.sim.AddTeamsApp(TeamsApp{ClientID: o.app.ClientID, Activities: []string{"jobAborted"}})
	o.sim.InstallTeamsApp(app.ID, o.user.ID)
	for name, change := range map[string][]string{
		"no topic":           {`"value":"Jobs"`, `"value":""`},
		"entity as topic":    {`"text"`, `"entityUrl"`},
		"link to elsewhere":  {"https://teams.microsoft.com/l/", "https://print.contoso.com/"},
		"undeclared type":    {"jobAborted", "jobKept"},
		"chain is a text":    {`"chainId":7`, `"chainId":"7"`},
		"chain is too large": {`"chainId":7`, `"chainId":9223372036854775808`},
		"no preview":         {"Why", ""},
		"long preview":       {"Why", strings.Repeat("👍", 513)},
		"long parameter":     {"Not printed", strings.Repeat("a", 1025)},
	} {
		if a := send(entry(change...)); a.status != 400 || len(o.sim.Messages()) > 0 {
			t.Errorf("%s: %+v, %+v", name, a, o.sim.Messages())
		}
	}
	for _, change := range [][]string{{}, {"Why", "Once more"}, {`"chainId":7`, `"chainId":8`}} {
		if a := send(entry(change...)); a.status != 204 {
			t.Errorf("%v: %+v", change, a)
		}
	}
	got := o.sim.Messages()
	if len(got) != 2 || got[0].Text != "Once more" || got[0].ID != "7" || got[1].ID != "8" || got[0].To != o.user.UPN ||
		got[0].Activity != "jobAborted" || got[0].Subject != "Not printed" {
		t.Errorf("%+v", got)
	}
	o.sim.InstallTeamsApp(o.sim.AddTeamsApp(TeamsApp{ClientID: o.app.ClientID}).ID, o.user.ID)
	if a := send(entry()); a.status != 409 {
		t.Errorf("with two apps of one registration: %+v", a)
	}
}
