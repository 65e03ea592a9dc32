package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/trigger/graph/graphtest"
)

const (
	deviceA = "9a3b3956-5a0e-4c5b-9d1a-61a1c2d3e4f5"
	groupA  = "11111111-2222-4333-8444-555555555555"
	groupB  = "66666666-7777-4888-8999-aaaaaaaaaaaa"
)

// virtually makes Follow-Me a queue that is to be made, with a device behind it.
func (n *tenant) virtually() {
	n.sim.AddPrinter(graphtest.Printer{ID: deviceA, DisplayName: "hq-2-west"})
	if err := n.sim.SetCapabilities(deviceA,
		`{"mediaSizes":["A3","A4"],"finishings":["none","staple"],"contentTypes":["application/pdf"]}`); err != nil {
		n.t.Fatal(err)
	}
	n.edit("{printer_id: "+queueA+", name: Follow-Me, mode: pull}", "{name: Pull, mode: pull, create: true}")
	n.edit("nats:",
		"devices: [{id: hq-2-west, printer_id: "+deviceA+", queues: [Pull]}]\nbadges: {key_file: badge-key}\nnats:")
	n.write("badge-key", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n")
}

// keeps has the administrator's sign-in kept: from now on nobody has to enter a code.
func (n *tenant) keeps() {
	n.t.Helper()
	n.write("key", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n")
	n.edit("nats:", "administrator: {sign_in_file: kept, key_file: key}\nnats:")
	if out, err := n.does("register", "plan", "--keep"); err != nil {
		n.t.Fatalf("%v %s", err, out)
	}
}

// made are the printers that were made by registration.
func (n *tenant) made() (list []graphtest.Printer) {
	for _, p := range n.sim.Printers() {
		if p.Manufacturer == "pullprint" {
			list = append(list, p)
		}
	}
	return list
}

// A virtual printer is made once, with what its devices can do, and shared with whom
// the configuration says; it is taken away only when that is asked for.
func TestRegisterCreate(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	n.virtually()
	n.keeps()
	out, err := n.does("register", "plan")
	if err != nil || len(n.made()) != 0 {
		t.Fatalf("%v %s", err, out)
	}
	n.wants(out, "Pull    -", "Pull   missing          all    create, set attributes, share, with nobody yet")
	var usage usageError
	if _, err := n.does("run"); !errors.As(err, &usage) ||
		!strings.Contains(err.Error(), "no printer yet for Pull: run `pullprint register apply`") {
		t.Errorf("run: %v", err)
	}
	if out, err := n.does("check", "--json"); err != nil || !strings.Contains(out, "Pull has no printer yet") {
		t.Errorf("check: %v %s", err, out)
	}
	if out, err = n.does("register", "apply", "--yes"); err != nil || len(n.made()) != 1 {
		t.Fatalf("%v %s", err, out)
	}
	id := n.made()[0].ID
	n.wants(out, "done    Pull: printer created, "+id, "done    Pull: attributes set", "done    Pull: trigger",
		"done    Pull: shared",
		"Write into the configuration, at the queue Pull:  printer_id: "+id, "Nobody may print to Pull")
	if name, everyone, groups, ok := n.sim.ShareOf(id); !ok || name != "Pull" || everyone || len(groups) != 0 {
		t.Errorf("share %q, everyone %v, %v, %v", name, everyone, groups, ok)
	}
	if made := n.made()[0]; !made.Virtual || made.NotAccepting || made.State != "idle" ||
		made.Model != "queue of app "+registerID {
		t.Errorf("%+v", made)
	}
	for _, again := range []string{"{name: Pull,", "{printer_id: " + id +
		", name: Pull,"} { // as it was, and as it should be
		n.edit("{name: Pull,", again)
		if out, err = n.does("register", "apply", "--yes"); err != nil || len(n.made()) != 1 {
			t.Fatalf("%v %s", err, out)
		}
		n.wants(out, "nothing  nothing")
	}
	n.edit("create: true", "create: true, share_with: ["+groupA+", "+groupB+"]")
	if out, err = n.does("register", "apply", "--yes"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	n.wants(out, "let print 2 groups", "may print: "+groupA, "may print: "+groupB)
	if _, everyone, groups, _ := n.sim.ShareOf(id); everyone || !slices.Equal(groups, []string{groupA, groupB}) {
		t.Errorf("everyone %v, %v", everyone, groups)
	}
	n.edit(groupA+", "+groupB, "everyone")
	if out, err = n.does("register", "apply", "--yes"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if _, everyone, _, _ := n.sim.ShareOf(id); !everyone {
		t.Error("not shared with everyone")
	}
	if err := n.sim.SetCapabilities(deviceA,
		`{"mediaSizes":["A3","A4","A5"]}`); err != nil { // the device has learnt something
		t.Fatal(err)
	}
	if out, err = n.does("register", "plan"); err != nil {
		t.Fatal(err)
	}
	n.wants(out, "mediaSizes A5", "set attributes")
	others := n.sim.AddPrinter(graphtest.Printer{
		DisplayName: "Pull", Virtual: true, Manufacturer: "pullprint", Model: "queue of app " + otherApp,
	})
	before := len(n.sim.Printers())
	if out, err = n.does("register", "remove", "--yes"); err != nil || len(n.made()) != 2 {
		t.Fatalf("%v %s", err, out)
	}
	if out, err = n.does("register", "remove", "--yes", "--printers"); err != nil || len(n.sim.Printers()) != before-1 {
		t.Fatalf("%v %s", err, out)
	}
	n.wants(out, "delete, with its share", "done    Pull: printer deleted, "+id)
	if made := n.made(); len(made) != 1 || made[0].ID != others.ID {
		t.Errorf("left: %+v", made)
	}
	n.sim.PlantDefinition(registerID, "pullprint") // as if it had been killed before the last step
	if out, err = n.does("register", "remove", "--yes", "--printers"); err != nil || len(n.sim.Definitions()) != 0 {
		t.Errorf("again: %v %s", err, out)
	}
}

// A printer that was made is not shared while its trigger is another app's.
func TestRegisterCreateForeign(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	n.virtually()
	n.keeps()
	foreign := n.sim.PlantDefinition(otherApp, "Other Vendor")
	n.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(op string, r graphtest.Request) graphtest.Fault {
			if op != graphtest.OpPrinterUpdate {
				return graphtest.Fault{}
			}
			return graphtest.Fault{After: func(int) { _, _ = n.sim.AddTrigger(r.Printer, foreign) }} // another is faster
		}
	})
	out, err := n.does("register", "apply", "--yes")
	if err == nil || !strings.Contains(out, "failed  Pull: the printer has a trigger of another app") {
		t.Errorf("%v %s", err, out)
	}
	if _, _, _, ok := n.sim.ShareOf(n.made()[0].ID); ok {
		t.Error("shared")
	}
	if out, err = n.does("register", "apply", "--yes", "--replace"); err != nil {
		t.Errorf("%v %s", err, out)
	}
	if _, _, _, ok := n.sim.ShareOf(n.made()[0].ID); !ok {
		t.Error("not shared")
	}
}

// What a virtual printer is refused for says what to do, and nothing is made twice
// when that is done.
func TestRegisterCreateTrouble(t *testing.T) {
	t.Parallel()
	few := []string{"PrintTaskDefinition.ReadWrite.All", "PrintJob.Manage.All", "Printer.Read.All"}
	for name, c := range map[string]struct {
		prepare, mend func(n *tenant)
		want          string
	}{
		"a name that is taken": {
			func(n *tenant) { n.sim.AddPrinter(graphtest.Printer{DisplayName: "Pull"}) },
			func(n *tenant) { n.edit("name: Pull", "name: Pull 2"); n.edit("[Pull]", "[Pull 2]") },
			"there is a printer of that name already",
		},
		"the printer of another": {
			func(n *tenant) { n.edit("{name: Pull", "{printer_id: "+queueA+", name: Pull") },
			func(n *tenant) { n.edit("printer_id: "+queueA+", ", "") },
			"its printer was not made by pullprint: leave create out",
		},
		"no such printer": {
			func(n *tenant) { n.edit("{name: Pull", "{printer_id: "+groupA+", name: Pull") },
			func(n *tenant) { n.edit("printer_id: "+groupA+", ", "") },
			"there is no such printer: correct queues[].printer_id, or leave it out to have one made",
		},
		"the app may not": {
			func(n *tenant) { n.sim.AddApp(graphtest.App{ClientID: registerID, Secret: "secret", Roles: few}) },
			func(n *tenant) { n.sim.AddApp(graphtest.App{ClientID: registerID, Secret: "secret"}) },
			"grant it the application permission Printer.ReadWrite.All",
		},
		"graph fails": {
			func(n *tenant) { n.sim.Change(func(k *graphtest.Knobs) { k.OperationFails = 1 }) },
			func(n *tenant) { n.sim.Change(func(k *graphtest.Knobs) { k.OperationFails = 0 }) },
			"Graph could not create the printer: run this again",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newTenant(t)
			n.virtually()
			c.prepare(n)
			out, err := n.does("register", "apply", "--yes")
			if err == nil || !strings.Contains(out, c.want) || !strings.Contains(out, "done    Poster: trigger") {
				t.Errorf("%v\n%s", err, out)
			}
			c.mend(n)
			if out, err = n.does("register", "apply", "--yes"); err != nil || len(n.made()) != 1 {
				t.Errorf("mended: %v %s", err, out)
			}
		})
	}
}

// Registration that is killed, or whose answer gets lost, at any change and before or
// after it was done, is run again and ends as if nothing had been.
func TestRegisterInterrupted(t *testing.T) {
	t.Parallel()
	writes := []string{
		graphtest.OpDefinitionCreate, graphtest.OpPrinterCreate, graphtest.OpPrinterUpdate, graphtest.OpTriggerCreate,
		graphtest.OpShareCreate,
		graphtest.OpGroupAllow,
	}
	reads := []string{
		graphtest.OpDefinitionList, graphtest.OpPrinterList, graphtest.OpTriggerList, graphtest.OpOperationGet,
		graphtest.OpPrinterGet,
	}
	for _, how := range []string{"killed before", "killed after", "answer lost", "timed out"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel() // nearly all of it is waiting
			interrupted(t, how, writes)
		})
	}
	t.Run("killed before a read", func(t *testing.T) {
		t.Parallel()
		interrupted(t, "killed before", reads)
	})
}

// interrupted interrupts registration at its first call of each operation, in one tenant.
func interrupted(t *testing.T, how string, ops []string) {
	n := newTenant(t)
	n.virtually()
	n.edit("create: true", "create: true, share_with: ["+groupA+"]")
	n.keeps()
	for _, op := range ops {
		t.Run(op, func(t *testing.T) {
			ctx, kill := context.WithCancel(t.Context())
			defer kill()
			var struck atomic.Bool
			n.sim.Change(func(k *graphtest.Knobs) { k.Intercept = strike(op, how, kill, &struck) })
			out, err := n.doesIn(ctx, "register", "apply", "--yes")
			n.sim.Change(func(k *graphtest.Knobs) { k.Intercept = nil })
			if !struck.Load() {
				t.Fatalf("%s was never called: %v %s", op, err, out)
			}
			if killed := strings.HasPrefix(how, "killed"); killed && err == nil {
				t.Errorf("killed, and it says nothing:\n%s", out)
			} else if !killed && err != nil && op != graphtest.OpDefinitionCreate {
				t.Errorf("what was done is not found at once: %v\n%s", err, out)
			}
			if out, err = n.does("register", "apply", "--yes"); err != nil {
				t.Fatalf("again: %v %s", err, out)
			}
			if len(n.made()) != 1 || len(n.sim.Definitions()) != 1 {
				t.Fatalf("%d printers and %d definitions were made:\n%s", len(n.made()), len(n.sim.Definitions()), out)
			}
			made := n.made()[0]
			_, everyone, groups, ok := n.sim.ShareOf(made.ID)
			if !ok || everyone || !slices.Equal(groups, []string{groupA}) || made.NotAccepting {
				t.Errorf("share %v %v %v, %+v", ok, everyone, groups, made)
			}
			if out, err = n.does("register", "plan", "--json"); err != nil || strings.Count(out, `"state": "ours"`) != 2 ||
				!strings.Contains(out, `"acts": []`) {
				t.Errorf("not as it should be: %v %s", err, out)
			}
			if err := errors.Join(n.sim.DeleteDefinition(n.sim.Definitions()[0]), n.sim.RemovePrinter(made.ID)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// strike does something to the first call of an operation.
func strike(what, how string, kill func(), struck *atomic.Bool) func(string, graphtest.Request) graphtest.Fault {
	return func(op string, _ graphtest.Request) graphtest.Fault {
		if op != what || struck.Swap(true) {
			return graphtest.Fault{}
		}
		gone := make(chan struct{})
		switch how {
		case "killed before":
			kill()
			return graphtest.Fault{Drop: true}
		case "killed after":
			return graphtest.Fault{After: func(int) { kill(); close(gone) }, HoldReply: gone, Lose: true}
		case "timed out":
			return graphtest.Fault{LoseAs: 504}
		}
		return graphtest.Fault{Lose: true}
	}
}

// A run that is killed while Graph makes the printer leaves nothing to be found: the
// next one makes another, takes the older, and says that there is a spare one.
func TestRegisterSpare(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	n.virtually()
	n.keeps()
	n.sim.Change(func(k *graphtest.Knobs) { k.OperationTime = 4 * time.Second })
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	n.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(op string, _ graphtest.Request) graphtest.Fault {
			if op == graphtest.OpOperationGet && ctx.Err() == nil {
				return graphtest.Fault{After: func(int) { kill() }}
			}
			return graphtest.Fault{}
		}
	})
	out, err := n.doesIn(ctx, "register", "apply", "--yes")
	if err == nil || !strings.Contains(err.Error(), "wait a minute before this is run again") {
		t.Errorf("%v %s", err, out)
	}
	if out, err = n.does("register", "apply", "--yes"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if out, err = n.does("register", "apply", "--yes"); err != nil || len(n.made()) != 2 {
		t.Fatalf("%v, %d printers: %s", err, len(n.made()), out)
	}
	n.wants(out, "Pull was made twice, by a run that was interrupted: delete the printer ")
}

// On a bad day of Graph's it is run again until it is done, and nothing is made twice.
func TestRegisterHostile(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	n.virtually()
	n.keeps()
	bad := graphtest.Hostile()
	n.sim.Change(func(k *graphtest.Knobs) { k.Become(bad); k.Throttle, k.LoseReply = 0.2, 0.3 })
	runs := 1
	for ; runs < 20; runs++ {
		out, err := n.does("register", "apply", "--yes")
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "run it again") && !strings.Contains(err.Error(), "not as it should be") &&
			!strings.Contains(err.Error(), "graph ") && !strings.Contains(err.Error(), "no token") {
			t.Errorf("%v\n%s", err, out)
		}
	}
	if len(n.made()) != 1 || len(n.sim.Definitions()) != 1 {
		t.Errorf("seed %d, %d runs: %d printers and %d definitions", n.sim.Seed(), runs, len(n.made()),
			len(n.sim.Definitions()))
	}
	t.Logf("seed %d: %d runs", n.sim.Seed(), runs)
}

// A queue that comes near the limits of Universal Print is told, with what to do.
func TestRegisterSplit(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	for i := range 83 {
		printer := queueA
		if i%3 == 0 {
			printer = queueB
		}
		if _, err := n.sim.Submit(graphtest.JobSpec{Printer: printer, User: n.plain}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := n.does("register", "plan")
	if err != nil || strings.Contains(out, "add a second queue") {
		t.Fatalf("%v %s", err, out)
	}
	for range 30 {
		if _, err := n.sim.Submit(graphtest.JobSpec{Printer: queueA, User: n.plain}); err != nil {
			t.Fatal(err)
		}
	}
	if out, err = n.does("register", "plan"); err != nil {
		t.Fatal(err)
	}
	n.wants(out, "Follow-Me: 85 of 100 jobs in 10 minutes at ",
		"add a second queue (as {name: Follow-Me 2, mode: ..., create: true})")
	if strings.Contains(out, "Poster: ") {
		t.Error(out)
	}
	n.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(op string, _ graphtest.Request) graphtest.Fault {
			if op == graphtest.OpJobList {
				return graphtest.Fault{Refuse: 403}
			}
			return graphtest.Fault{}
		}
	})
	if out, err = n.does("register", "plan"); err != nil {
		t.Error(err)
	}
	n.wants(out, "Follow-Me: how busy it is could not be read: graph list_jobs: status 403")
}
