package teams_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"pullprint/connector/notice"
	"pullprint/connector/notify"
	"pullprint/connector/notify/teams"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
)

const clientID = "815f204f-c791-4ee6-9098-614ecdb003f6"

// office is a tenant with the Teams app, and one person for whom it is installed.
type office struct {
	sim    *graphtest.Sim
	app    graphtest.TeamsApp
	anna   string
	sender *teams.Sender
}

func newOffice(t *testing.T, change func(*graphtest.TeamsApp), roles ...string) *office {
	t.Helper()
	o := &office{sim: graphtest.New(graphtest.Calm())}
	t.Cleanup(o.sim.Close)
	o.sim.AddApp(graphtest.App{ClientID: clientID, Secret: "secret", Roles: append([]string{}, roles...)})
	o.app = graphtest.TeamsApp{ClientID: clientID}
	for _, kind := range notice.Kinds {
		o.app.Activities = append(o.app.Activities, teams.ActivityType(kind))
	}
	if change != nil {
		change(&o.app)
	}
	o.app = o.sim.AddTeamsApp(o.app)
	o.anna = o.sim.AddUser(graphtest.User{UPN: "anna@contoso.com"}).ID
	o.sim.InstallTeamsApp(o.app.ID, o.anna)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := graph.New(graph.Config{TenantID: o.sim.Tenant(), Auth: auth.Config{ClientID: clientID, ClientSecretFile: secret}},
		graph.Options{Transport: o.sim.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	if o.sender, err = teams.New(o.app.ID, "https://print.contoso.com/", c); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) message() notify.Message {
	return notify.Message{
		ID: "abc.job.aborted", Owner: o.anna, Kind: notice.Aborted, Language: "de", Subject: "Ihr Druckauftrag wurde nicht gedruckt",
		Text: "Warum: zu viele Seiten\n\nWas Sie tun können: weniger drucken\n",
	}
}

// A notice is an entry of the type of its kind, in the language of the message, which opens the tab of the
// app. Sent again, it is in place of the first.
func TestSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil, "TeamsActivity.Send")
		m := o.message()
		for range 2 {
			if err := o.sender.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		m.ID, m.Kind, m.Language = "abd.badge.enrolled", notice.BadgeEnrolled, "en"
		if err := o.sender.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		got := o.sim.Messages()
		if len(got) != 2 || got[0].ID == got[1].ID || got[0].To != "anna@contoso.com" || got[0].Activity != "jobAborted" ||
			got[1].Activity != "badgeEnrolled" || got[0].Subject != m.Subject ||
			got[0].Text != "Warum: zu viele Seiten Was Sie tun können: weniger drucken" {
			t.Fatalf("%+v", got)
		}
		for i, label := range []string{"Ihre Druckaufträge", "Your print jobs"} {
			u, err := url.Parse(got[i].Link)
			if err != nil || u.Host != "teams.microsoft.com" || u.Path != "/l/entity/"+o.app.ID+"/jobs" ||
				u.Query().Get("webUrl") != "https://print.contoso.com/me" || u.Query().Get("label") != label ||
				strings.Contains(got[i].Link, "+") {
				t.Errorf("%s, %v", got[i].Link, err)
			}
		}
	})
}

// Texts are cut to what Graph takes, between two characters.
func TestLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil, "TeamsActivity.Send")
		for _, char := range []string{"a", "ü", "👍"} {
			m := o.message()
			m.ID, m.Subject, m.Text = char, strings.Repeat(char, 150), strings.Repeat(char, 5000)
			if err := o.sender.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			got := o.sim.Messages()[len(o.sim.Messages())-1]
			for text, most := range map[string]int{got.Text: 1024, got.Subject: 150} {
				if n := len(utf16.Encode([]rune(text))); n > most || n < most-2 || strings.ContainsRune(text, '\uFFFD') {
					t.Errorf("%q: %d code units of %d", char, n, most)
				}
			}
			if cut := strings.HasSuffix(got.Text, char+"…"); !cut {
				t.Errorf("%q is not marked as cut", char)
			}
		}
	})
}

// What an answer of Graph means: for this person, for this message, or for everybody. No error names a person.
func TestAnswers(t *testing.T) {
	const person, message, all = "person", "message", "all"
	kinds := map[string]func(error) bool{
		person:  func(err error) bool { return errors.Is(err, notify.ErrNoAddress) },
		message: func(err error) bool { _, ok := errors.AsType[*notify.Refused](err); return ok },
		all:     func(err error) bool { _, ok := errors.AsType[*notify.Down](err); return ok },
	}
	for name, x := range map[string]struct {
		fault graphtest.Fault
		about string
		after time.Duration
	}{
		"malformed":     {graphtest.Fault{Refuse: 400}, message, 0},
		"no token":      {graphtest.Fault{Refuse: 401}, all, 0},
		"not installed": {graphtest.Fault{Refuse: 403}, person, 0},
		"no user":       {graphtest.Fault{Refuse: 404}, person, 0},
		"two apps":      {graphtest.Fault{Refuse: 409}, person, 0},
		"throttled":     {graphtest.Fault{Refuse: 429, RetryAfter: "120"}, all, 2 * time.Minute},
		"defect":        {graphtest.Fault{Refuse: 500}, all, 0},
		"unavailable":   {graphtest.Fault{Refuse: 503, RetryAfter: "60"}, all, time.Minute},
		"answer lost":   {graphtest.Fault{Lose: true}, all, 0},
		"not reached":   {graphtest.Fault{Drop: true}, all, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t, nil, "TeamsActivity.Send")
			o.sim.Change(func(k *graphtest.Knobs) {
				k.Intercept = func(op string, _ graphtest.Request) graphtest.Fault {
					if op == graphtest.OpSendActivity {
						return x.fault
					}
					return graphtest.Fault{}
				}
			})
			err := o.sender.Send(t.Context(), o.message())
			for about, is := range kinds {
				if is(err) != (about == x.about) {
					t.Errorf("%s: about %s: %v", name, about, err)
				}
			}
			if err == nil || strings.Contains(err.Error(), o.anna) || strings.Contains(err.Error(), "contoso") {
				t.Errorf("%s: %v", name, err)
			}
			if down, ok := errors.AsType[*notify.Down](err); ok && (down.After > x.after || down.After < x.after-20*time.Second) {
				t.Errorf("%s: after %v", name, down.After)
			}
			if sent := len(o.sim.Messages()); x.fault.Lose && sent != 1 {
				t.Errorf("%s: %d entries of one message", name, sent)
			}
		})
	}
}

// Who may be sent to: everybody who has the app with the right of the app registration, else who has
// consented; nobody who has not the app.
func TestRights(t *testing.T) {
	consent := func(a *graphtest.TeamsApp) { a.Consent = true }
	synctest.Test(t, func(t *testing.T) {
		for name, x := range map[string]struct {
			change func(*graphtest.TeamsApp)
			roles  []string
			sent   bool
		}{
			"right":                 {nil, []string{"TeamsActivity.Send"}, true},
			"consent":               {consent, nil, true},
			"neither":               {nil, nil, false},
			"of another app":        {func(a *graphtest.TeamsApp) { a.ClientID, a.Consent = "another", true }, nil, false},
			"kind of a new version": {func(a *graphtest.TeamsApp) { a.Activities = nil; a.Consent = true }, nil, false},
		} {
			o := newOffice(t, x.change, x.roles...)
			if err := o.sender.Send(t.Context(), o.message()); (err == nil) != x.sent {
				t.Errorf("%s: %v", name, err)
			}
			m := o.message()
			m.Owner = o.sim.AddUser(graphtest.User{UPN: "new@contoso.com"}).ID
			if err := o.sender.Send(t.Context(), m); !errors.Is(err, notify.ErrNoAddress) {
				t.Errorf("%s: sent to who has not the app", name)
			}
		}
	})
}

// Each kind has a type of its own, in the form that Microsoft's examples have.
func TestActivityType(t *testing.T) {
	had := map[string]bool{}
	for _, kind := range notice.Kinds {
		name := teams.ActivityType(kind)
		if had[name] || len(name) > 64 || strings.ContainsAny(name, ".-_ ") { // 64 by the schema of manifests
			t.Errorf("%s is %q", kind, name)
		}
		had[name] = true
	}
	if got := teams.ActivityType(notice.ReleasedByAnother); got != "jobReleasedByAnother" {
		t.Error(got)
	}
}
