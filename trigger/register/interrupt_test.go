package register_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
	"pullprint/trigger/register"
)

const (
	deviceID   = "9a3b3956-5a0e-4c5b-9d1a-61a1c2d3e4f5"
	strangerID = "0d4b5a90-8f6c-4b7e-a1d2-3c4e5f607182"
	otherApp   = "99999999-0000-4000-8000-000000000009"
	staff      = "11111111-2222-4333-8444-555555555555"
)

// tenant is a simulated tenant with a printer that lacks a trigger, a printer with another
// app's trigger, and a virtual printer that is configured and does not exist.
type tenant struct {
	t           *testing.T
	sim         *graphtest.Sim
	connect     func(http.RoundTripper) // makes app and person
	app, person *graph.Client
	queues      []register.Queue
}

func newTenant(t *testing.T) *tenant {
	t.Helper()
	k := graphtest.Calm()
	k.DeviceInterval, k.OperationTime = time.Second, 0
	n := &tenant{t: t, sim: graphtest.New(k)}
	t.Cleanup(n.sim.Close)
	n.sim.AddApp(graphtest.App{ClientID: planApp, Secret: "secret"})
	n.sim.AddPrinter(graphtest.Printer{ID: planQueue})
	n.sim.AddPrinter(graphtest.Printer{ID: deviceID})
	n.sim.AddPrinter(graphtest.Printer{ID: strangerID})
	if err := n.sim.SetCapabilities(deviceID, `{"mediaSizes":["A3"],"contentTypes":["application/pdf"]}`); err != nil {
		t.Fatal(err)
	}
	if _, err := n.sim.AddTrigger(strangerID, n.sim.PlantDefinition(otherApp, "Other")); err != nil {
		t.Fatal(err)
	}
	user := n.sim.AddUser(graphtest.User{UPN: "admin@contoso.com", Administrator: true}).ID
	n.connect = func(tr http.RoundTripper) { n.app, n.person = admin(t, n.sim, tr, user) }
	n.connect(n.sim.Transport())
	n.queues = []register.Queue{
		{ID: planQueue, Name: "Direct"},
		{Name: "Pull", Create: true, ShareWith: []string{staff}, Devices: []string{deviceID}},
		{ID: strangerID, Name: "Stranger"},
	}
	return n
}

func (n *tenant) planner() *register.Planner {
	return &register.Planner{
		App: n.app, Admin: n.person, AppID: planApp, Definition: "pullprint", Printers: true,
		Provisioner: &register.Provisioner{App: n.app, Admin: n.person, AppID: planApp},
	}
}

// apply plans and applies once, as `register apply` does.
func (n *tenant) apply(ctx context.Context) (*register.Plan, error) {
	plan, err := n.planner().Plan(ctx, n.queues)
	if err != nil {
		return nil, err
	}
	return plan, n.planner().Apply(ctx, plan, func(register.Step) {})
}

// remove plans and removes once, as `register remove --printers` does.
func (n *tenant) remove(ctx context.Context) (*register.Plan, error) {
	plan, err := n.planner().PlanRemoval(ctx, n.queues)
	if err != nil {
		return nil, err
	}
	return plan, n.planner().Remove(ctx, plan, func(register.Step) {})
}

// created returns the printers that pullprint created.
func (n *tenant) created() (ids []string) {
	for _, p := range n.sim.Printers() {
		if p.Manufacturer == "pullprint" {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// trigger returns the state of a printer's trigger.
func (n *tenant) trigger(printer, definition string) string {
	n.t.Helper()
	state, _, err := register.CheckTrigger(n.t.Context(), n.person, printer, definition, planApp)
	if err != nil {
		n.t.Fatal(err)
	}
	return state
}

// registered reports with an error what is wrong after a registration: everything that is
// configured exists, exactly once, and another app's trigger is untouched.
func (n *tenant) registered() error {
	n.t.Helper()
	plan, err := n.planner().Plan(n.t.Context(), n.queues)
	if err != nil {
		return err
	}
	if c := plan.Changes(); c != 0 {
		return fmt.Errorf("%d changes are left: %+v, %+v", c, plan.Steps, plan.VirtualPrinters)
	}
	created := n.created()
	if len(created) != 1 || len(n.sim.Definitions()) != 2 {
		return fmt.Errorf("%d printers and %d definitions, with the other app's", len(created), len(n.sim.Definitions()))
	}
	if name, everyone, groups, ok := n.sim.ShareOf(created[0]); name != "Pull" || everyone ||
		!slices.Equal(groups, []string{staff}) || !ok {
		return fmt.Errorf("share %q, everyone %v, groups %v", name, everyone, groups)
	}
	a, err := n.app.Attributes(n.t.Context(), created[0])
	if err != nil {
		return err
	}
	if !a.Accepting || !slices.Contains(a.Capabilities.MediaSizes, "A3") {
		return fmt.Errorf("the virtual printer accepts jobs: %v, offers %v", a.Accepting, a.Capabilities.MediaSizes)
	}
	for printer, want := range map[string]string{
		planQueue: register.TriggerOurs, created[0]: register.TriggerOurs, strangerID: register.TriggerForeign,
	} {
		if got := n.trigger(printer, plan.Definition.ID); got != want {
			return fmt.Errorf("the trigger of %s is %s, want %s", printer, got, want)
		}
	}
	return nil
}

// removed reports with an error what is wrong after a removal.
func (n *tenant) removed() error {
	n.t.Helper()
	if c := n.created(); len(c) != 0 || len(n.sim.Definitions()) != 1 {
		return fmt.Errorf("%d printers and %d definitions are left", len(c), len(n.sim.Definitions()))
	}
	if got := n.trigger(planQueue, ""); got != register.TriggerMissing {
		return fmt.Errorf("the trigger is %s", got)
	}
	if got := n.trigger(strangerID, ""); got != register.TriggerForeign {
		return fmt.Errorf("the other app's trigger is %s", got)
	}
	return nil
}

// faultAt makes the call number at, counted from 0, fail as fault says, and returns how many
// calls there have been.
func (n *tenant) faultAt(at int, fault func() graphtest.Fault) (calls func() int) {
	count := 0
	n.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(op string, _ graphtest.Request) (f graphtest.Fault) {
			if op == graphtest.OpToken {
				return f
			}
			if count == at {
				f = fault()
			}
			count++
			return f
		}
	})
	return func() int {
		n.sim.Change(func(k *graphtest.Knobs) { k.Intercept = nil })
		return count
	}
}

const refused404 = "refused with 404"

// faults are the ways in which one call to Graph can go wrong. end ends the process.
var faults = map[string]func(end context.CancelFunc) graphtest.Fault{
	"killed":      func(end context.CancelFunc) graphtest.Fault { end(); return graphtest.Fault{Drop: true} },
	"answer lost": func(context.CancelFunc) graphtest.Fault { return graphtest.Fault{LoseAs: 504} },
	refused404:    func(context.CancelFunc) graphtest.Fault { return graphtest.Fault{Refuse: 404} },
}

// succeeded reports whether a plan was carried out, but for the printer with another app's
// trigger.
func succeeded(p *register.Plan) bool {
	return !slices.ContainsFunc(p.Incomplete(), func(s register.Step) bool { return s.ID != strangerID })
}

// eachFault runs do with a fault at each of its calls, and then once more without one. After
// that, and after a run that reports success, check must find nothing wrong, and a third run
// must change nothing.
func eachFault(
	t *testing.T, prepare func(*tenant), do func(*tenant, context.Context) (*register.Plan, error), check func(*tenant) error,
) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for at := 0; ; at++ {
				made := 0
				synctest.Test(t, func(t *testing.T) {
					n := newTenant(t)
					prepare(n)
					ctx, end := context.WithCancel(t.Context())
					defer end()
					calls := n.faultAt(at, func() graphtest.Fault { return fault(end) })
					plan, first := do(n, ctx)
					made = calls()
					// 404 is believed: what was to be deleted is gone, a device has no capabilities.
					if first == nil && succeeded(plan) && name != refused404 {
						if err := check(n); err != nil {
							t.Errorf("call %d: the run reported success: %v", at, err)
						}
					}
					if ctx.Err() != nil && (first == nil || made > at+1) {
						t.Errorf("call %d: the run made %d calls after its end: %v", at, made-at-1, first)
					}
					if _, err := do(n, t.Context()); err != nil {
						t.Errorf("call %d: the second run: %v", at, err)
					}
					if err := check(n); err != nil {
						t.Errorf("call %d (first run: %v): %v", at, first, err)
					}
					changes := n.sim.AllCalls()
					if _, err := do(n, t.Context()); err != nil {
						t.Errorf("call %d: the third run: %v", at, err)
					}
					for op, c := range n.sim.AllCalls() {
						if writes(op) && c != changes[op] {
							t.Errorf("call %d: the third run called %s", at, op)
						}
					}
				})
				if t.Failed() || at >= made {
					break
				}
			}
		})
	}
}

// writes reports whether an operation of the simulator changes something.
func writes(op string) bool {
	return !strings.HasSuffix(op, ".list") && !strings.HasSuffix(op, ".get") && op != graphtest.OpToken
}

// A registration that is interrupted at any of its calls, or one of whose answers is lost, is
// completed by running it again. Nothing exists twice.
func TestApplyAfterInterruption(t *testing.T) {
	racetest.Skip(t, "it plays a registration some hundred times")
	t.Parallel()
	eachFault(t, func(*tenant) {}, (*tenant).apply, (*tenant).registered)
}

// The same for a removal: what is left is removed by the next run, and nothing of others is.
func TestRemoveAfterInterruption(t *testing.T) {
	racetest.Skip(t, "it plays a removal some hundred times")
	t.Parallel()
	eachFault(t, func(n *tenant) {
		if _, err := n.apply(n.t.Context()); err != nil {
			n.t.Fatal(err)
		}
		if err := n.registered(); err != nil {
			n.t.Fatal(err)
		}
	}, (*tenant).remove, (*tenant).removed)
}

// The task definition outlives a trigger that could not be removed: without it, nobody could
// tell any more whose trigger that is.
func TestRemoveKeepsTheDefinitionOfALeftTrigger(t *testing.T) {
	t.Parallel()
	for name, op := range map[string]string{
		"the trigger can't be deleted": graphtest.OpTriggerDelete, "the triggers can't be read": graphtest.OpTriggerList,
		"the printer can't be deleted": graphtest.OpPrinterDelete, "the share can't be deleted": graphtest.OpShareDelete,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newTenant(t)
				if _, err := n.apply(t.Context()); err != nil {
					t.Fatal(err)
				}
				n.sim.Change(func(k *graphtest.Knobs) {
					k.Intercept = func(called string, r graphtest.Request) (f graphtest.Fault) {
						if called == op && r.Printer != strangerID {
							f.Refuse = 500
						}
						return f
					}
				})
				plan, err := n.remove(t.Context())
				if err == nil && succeeded(plan) || n.sim.Calls(graphtest.OpDefinitionDelete) != 0 {
					t.Errorf("%v; the definition was deleted %d times", err, n.sim.Calls(graphtest.OpDefinitionDelete))
				}
				n.sim.Change(func(k *graphtest.Knobs) { k.Intercept = nil })
				if _, err := n.remove(t.Context()); err != nil {
					t.Error(err)
				}
				if err := n.removed(); err != nil {
					t.Error(err)
				}
				if n.sim.Calls(graphtest.OpShareDelete) == 0 {
					t.Error("the share of the printer was not deleted")
				}
			})
		})
	}
}

// lying changes answers of Graph before the client reads them.
type lying struct {
	http.RoundTripper
	lie func(r *http.Request, status int, body string) (int, string)
}

func (l lying) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.RoundTripper.RoundTrip(r)
	if err != nil {
		return res, err
	}
	raw, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	status, body := l.lie(r, res.StatusCode, string(raw))
	res.StatusCode, res.ContentLength = status, int64(len(body))
	res.Body = io.NopCloser(strings.NewReader(body))
	return res, nil
}

// Answers that are empty, about something else, or that never become true end in an error
// that says so, and change nothing of others. The next run, which gets honest answers,
// completes the registration.
func TestAnswersThatLie(t *testing.T) {
	t.Parallel()
	const empty = `{}`
	at := func(method, path string) func(r *http.Request) bool {
		return func(r *http.Request) bool { return r.Method == method && strings.HasSuffix(r.URL.Path, path) }
	}
	for name, c := range map[string]struct {
		when   func(r *http.Request) bool
		status int // 0: as it was
		body   string
		want   string // in the error of the run or of a step; empty: the run succeeds
	}{
		"definitions without a list": {at("GET", "/taskDefinitions"), 0, empty, "not what was asked for"},
		"a definition without an id": {at("POST", "/taskDefinitions"), 0, empty, "id is not of the form"},
		"printers without a list":    {at("GET", "/print/printers"), 0, empty, "not what was asked for"},
		"triggers without a list":    {at("GET", planQueue+"/taskTriggers"), 0, empty, "not what was asked for"},
		"a trigger of nobody":        {at("GET", planQueue+"/taskTriggers"), 0, `{"value":[{"id":"x"}]}`, "left alone"},
		"attributes of nothing":      {at("GET", "/print/printers/"+deviceID), 0, empty, "read the capabilities of " + deviceID},
		"attributes of another printer": {
			at("GET", "/print/printers/"+deviceID), 0,
			`{"id":"` + planQueue + `"}`, "read the capabilities of",
		},
		"a device that can't be read now":    {at("GET", "/print/printers/"+deviceID), 503, empty, "read the capabilities of"},
		"a device that the app may not read": {at("GET", "/print/printers/"+deviceID), 403, empty, ""},
		"an operation without a printer":     {operation, 0, `{"status":{"state":"succeeded"}}`, ""},
		"an operation that never ends":       {operation, 0, `{"status":{"state":"quarantined"}}`, "still creating the printer"},
		"an operation that failed":           {operation, 0, `{"status":{"state":"failed"}}`, "could not create the printer"},
		"an operation that creates another's printer": {
			operation, 0,
			`{"status":{"state":"succeeded"},"printer":{"id":"` + strangerID + `"}}`, "the app may not set",
		},
		"a share without an id":      {at("POST", "/print/shares"), 0, empty, ""},
		"a share that does not stay": {at("GET", "/shares"), 0, `{"value":[]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newTenant(t)
				honest := false
				n.connect(lying{n.sim.Transport(), func(r *http.Request, status int, body string) (int, string) {
					if honest || !c.when(r) {
						return status, body
					}
					return cmp.Or(c.status, status), c.body
				}})
				plan, err := n.apply(t.Context())
				told := fmt.Sprint(err)
				if plan != nil {
					for _, s := range plan.Incomplete() {
						told += fmt.Sprintf("; %s: %s %v", s.Name, s.Action, s.Err)
					}
				}
				if c.want == "" && (err != nil || !succeeded(plan)) || !strings.Contains(told, c.want) {
					t.Errorf("%s, want %q", told, c.want)
				}
				honest = true
				if name == "an operation that creates another's printer" || name == "an operation that never ends" ||
					name == "an operation that failed" {
					return // the simulator did create a printer
				}
				if _, err := n.apply(t.Context()); err != nil {
					t.Errorf("the next run: %v", err)
				}
				if err := n.registered(); err != nil {
					t.Errorf("after the next run: %v", err)
				}
			})
		})
	}
}

// operation reports whether a request asks how the creation of a printer goes on.
func operation(r *http.Request) bool { return strings.Contains(r.URL.Path, "/print/operations/") }
