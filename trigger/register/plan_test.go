package register_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/register"
)

const (
	planApp   = "815f204f-c791-4ee6-9098-614ecdb003f6"
	planQueue = "c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1"
)

// unreliableAdmin is Graph with an administrator's token: lists come back empty and answers
// get lost.
type unreliableAdmin struct {
	admin register.Triggers
	empty int  // so many lists come back empty
	lost  bool // the answer to a creation gets lost
}

func (m *unreliableAdmin) Triggers(ctx context.Context, printer string) ([]graph.Trigger, error) {
	if m.empty > 0 {
		m.empty--
		return nil, nil
	}
	return m.admin.Triggers(ctx, printer)
}

func (m *unreliableAdmin) CreateTrigger(ctx context.Context, printer, definition string) error {
	err := m.admin.CreateTrigger(ctx, printer, definition)
	if err == nil && m.lost {
		err = errors.New("the answer is lost")
	}
	return err
}

func (m *unreliableAdmin) DeleteTrigger(ctx context.Context, printer, id string) error {
	return m.admin.DeleteTrigger(ctx, printer, id)
}

// admin is a client of a person, by a code that is approved at once.
func admin(t *testing.T, sim *graphtest.Sim, transport http.RoundTripper, user string) (app, person *graph.Client) {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := graph.Config{
		TenantID: sim.Tenant(), Endpoints: graph.Endpoints{Graph: "http://127.0.0.1:9440/v1.0", Authority: "http://127.0.0.1:9440"},
		Auth: auth.Config{ClientID: planApp, ClientSecretFile: secret},
	}
	o := graph.Options{Transport: transport}
	app, err := graph.New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	rights := slices.Concat(graph.TriggerRights, graph.ShareRights, graph.DeleteRights)
	person, err = graph.SignInPerson(t.Context(), cfg, o, rights, func(p auth.Prompt) {
		if err := sim.ApproveDevice(p.Code, user); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return app, person
}

// An empty list, a lost answer and an existing trigger end in one trigger of ours or in an error,
// never in a loop.
func TestPlanner(t *testing.T) {
	k := graphtest.Calm()
	k.DeviceInterval = 1e9
	sim := graphtest.New(k)
	t.Cleanup(sim.Close)
	sim.AddApp(graphtest.App{ClientID: planApp, Secret: "secret"})
	sim.AddPrinter(graphtest.Printer{ID: planQueue})
	user := sim.AddUser(graphtest.User{UPN: "admin@contoso.com", Administrator: true}).ID
	app, person := admin(t, sim, sim.Transport(), user)
	queues := []register.Queue{{ID: planQueue, Name: "Follow-Me"}}
	ctx := t.Context()
	foreign := sim.PlantDefinition("99999999-0000-4000-8000-000000000009", "Other")
	for _, c := range []struct {
		name    string
		foreign bool
		mood    unreliableAdmin
		state   string
		err     string
	}{
		{"as it should be", false, unreliableAdmin{}, register.TriggerOurs, ""},
		{"the answer is lost", false, unreliableAdmin{lost: true}, register.TriggerOurs, ""},
		{"the list is empty once", true, unreliableAdmin{empty: 1}, register.TriggerForeign, "the printer has a trigger of another app"},
		{"the list stays empty", true, unreliableAdmin{empty: 9}, register.TriggerMissing, "lists none"},
	} {
		mood := c.mood
		mood.admin = person
		p := &register.Planner{App: app, Admin: &mood, AppID: planApp, Definition: "pullprint"}
		if c.foreign {
			if _, err := sim.AddTrigger(planQueue, foreign); err != nil {
				t.Fatal(err)
			}
		}
		plan, err := p.Plan(ctx, queues)
		if err != nil || plan.Steps[0].Action != register.ActionCreate {
			t.Fatalf("%s: %+v, %v", c.name, plan, err)
		}
		before := sim.Calls(graphtest.OpTriggerCreate)
		if err := p.Apply(ctx, plan, func(register.Step) {}); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		s := plan.Steps[0]
		if s.State != c.state || (c.err == "") != (s.Err == nil) || (s.Err != nil && !strings.Contains(s.Err.Error(), c.err)) {
			t.Errorf("%s: %s, %v", c.name, s.State, s.Err)
		}
		if n := sim.Calls(graphtest.OpTriggerCreate) - before; n != 1 {
			t.Errorf("%s: %d calls", c.name, n)
		}
		if err := sim.RemoveTrigger(planQueue); err != nil {
			t.Fatal(err)
		}
	}
	// One of an older definition of ours is replaced without asking.
	old := sim.PlantDefinition(planApp, "an older one")
	if _, err := sim.AddTrigger(planQueue, old); err != nil {
		t.Fatal(err)
	}
	p := &register.Planner{App: app, Admin: person, AppID: planApp, Definition: "pullprint"}
	plan, err := p.Plan(ctx, queues)
	if err != nil || plan.Steps[0].State != register.TriggerOld || plan.Steps[0].Action != register.ActionReplace {
		t.Fatalf("%+v, %v", plan, err)
	}
	if err := p.Apply(ctx, plan, func(register.Step) {}); err != nil || plan.Steps[0].State != register.TriggerOurs {
		t.Errorf("%+v, %v", plan, err)
	}
}
