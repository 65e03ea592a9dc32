package mail_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/notify"
	"pullprint/connector/notify/mail"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
)

const app = "815f204f-c791-4ee6-9098-614ecdb003f6"

// office is a tenant with a mailbox that notices are sent from, and one person.
func office(t *testing.T, roles ...string) (sim *graphtest.Sim, c *graph.Client, anna string) {
	t.Helper()
	sim = graphtest.New(graphtest.Calm())
	t.Cleanup(sim.Close)
	sim.AddApp(graphtest.App{ClientID: app, Secret: "secret", Roles: roles})
	sim.AddUser(graphtest.User{UPN: "printing@contoso.com"})
	anna = sim.AddUser(graphtest.User{UPN: "anna@contoso.com"}).ID
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := graph.New(graph.Config{TenantID: sim.Tenant(), Auth: auth.Config{ClientID: app, ClientSecretFile: secret}},
		graph.Options{Transport: sim.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	return sim, c, anna
}

// A message by Graph is the one by SMTP: to the address in Entra, with the id that stays the same, and
// nothing of it is kept in the mailbox.
func TestGraphSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, c, anna := office(t)
		s, err := mail.NewGraph("Printing <printing@contoso.com>", c)
		if err != nil {
			t.Fatal(err)
		}
		m := notify.Message{ID: "abc.job.aborted", Owner: anna, Subject: "A print job was not printed", Text: "Why."}
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		got := sim.Messages()
		if len(got) != 1 || got[0].To != "anna@contoso.com" || got[0].From != "printing@contoso.com" || got[0].Subject != m.Subject ||
			got[0].Text != "Why.\n" || got[0].ID != "<abc.job.aborted@contoso.com>" || got[0].SavedToSentItems ||
			got[0].Headers["X-Auto-Response-Suppress"] != "All" {
			t.Errorf("%+v", got)
		}
		m.Owner = "99999999-2222-4333-8444-555555555555"
		if err := s.Send(t.Context(), m); !errors.Is(err, notify.ErrNoAddress) {
			t.Errorf("nobody: %v", err)
		}
	})
}

// What a refusal means for the message and for others; none has an address of a person.
func TestGraphRefusals(t *testing.T) {
	for name, x := range map[string]struct {
		fault   graphtest.Fault
		refused bool
		why     string
		after   time.Duration
	}{
		"recipient":   {graphtest.Fault{Refuse: 400}, true, "answered 400", 0},
		"no right":    {graphtest.Fault{Refuse: 403}, false, "does not let us send as printing@contoso.com", 0},
		"no mailbox":  {graphtest.Fault{Refuse: 404}, false, "there is no mailbox printing@contoso.com", 0},
		"throttled":   {graphtest.Fault{Refuse: 429, RetryAfter: "120"}, false, "has not taken the message", 2 * time.Minute},
		"unavailable": {graphtest.Fault{Refuse: 503, RetryAfter: "60"}, false, "has not taken the message", time.Minute},
		"lost":        {graphtest.Fault{Lose: true}, false, "has not taken the message", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			sim, c, anna := office(t)
			sim.Change(func(k *graphtest.Knobs) {
				k.Intercept = func(op string, _ graphtest.Request) graphtest.Fault {
					if op == graphtest.OpSendMail {
						return x.fault
					}
					return graphtest.Fault{}
				}
			})
			s, err := mail.NewGraph("printing@contoso.com", c)
			if err != nil {
				t.Fatal(err)
			}
			err = s.Send(t.Context(), notify.Message{ID: "a", Owner: anna, Subject: "s", Text: "t"})
			_, refused := errors.AsType[*notify.Refused](err)
			down, _ := errors.AsType[*notify.Down](err)
			if err == nil || refused != x.refused || !strings.Contains(err.Error(), x.why) || strings.Contains(err.Error(), "anna") {
				t.Errorf("%s: %v", name, err)
			}
			if down != nil && (down.After < x.after-time.Second || down.After > x.after) {
				t.Errorf("%s: after %v", name, down.After)
			}
			if sent := len(sim.Messages()); x.fault.Lose && sent != 1 {
				t.Errorf("%s: sent %d times by one try", name, sent)
			}
		})
	}
	for _, from := range []string{"printing", "a/b@contoso.com", ""} {
		if _, err := mail.NewGraph(from, nil); err == nil {
			t.Errorf("sends from %q", from)
		}
	}
}
