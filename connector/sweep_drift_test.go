package connector_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/register"
)

// A queue whose trigger is taken away is noticed by the jobs that print past us,
// and is well again when one comes to us.
func TestDrift(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		reg := prometheus.NewRegistry()
		l := w.live("", func(d *connector.Deps) { d.Registerer = reg })
		looks := func(what, followMe string) {
			t.Helper()
			time.Sleep(11 * time.Minute) // virtual
			l.sweep(t)
			want := `
# HELP pullprint_trigger_drift 1 when jobs of the queue print without starting a task of ours: its trigger is missing or another's; else 0.
# TYPE pullprint_trigger_drift gauge
pullprint_trigger_drift{queue="Follow-Me"} ` + followMe + `
pullprint_trigger_drift{queue="Poster"} 0
`
			if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "pullprint_trigger_drift"); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		looks("nothing printed", "0")
		_, d := w.print(graphtest.JobSpec{Printer: pullID})
		l.worker.Handle(l.ctx, d)
		looks("a job of ours", "0")
		if err := w.sim.RemoveTrigger(pullID); err != nil {
			t.Fatal(err)
		}
		looks("no job since", "0")
		if _, err := w.sim.Submit(graphtest.JobSpec{Printer: pullID, User: studentID}); err != nil {
			t.Fatal(err)
		}
		looks("a job past us", "1")
		looks("no job since", "1")
		if _, err := w.sim.AddTrigger(pullID, w.verifier.Definition()); err != nil {
			t.Fatal(err)
		}
		_, d = w.print(graphtest.JobSpec{Printer: pullID})
		l.worker.Handle(l.ctx, d)
		looks("a job of ours again", "0")

		// The trigger of another app: its jobs have a task, which is not ours.
		if err := w.sim.RemoveTrigger(pullID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.sim.AddTrigger(pullID, w.sim.PlantDefinition("99999999-0000-4000-8000-000000000009", "Other Vendor")); err != nil {
			t.Fatal(err)
		}
		looks("another's trigger and no job", "0")
		if _, err := w.sim.Submit(graphtest.JobSpec{Printer: pullID, User: studentID}); err != nil {
			t.Fatal(err)
		}
		looks("a job with another's task", "1")
		if err := w.sim.RemoveTrigger(pullID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.sim.AddTrigger(pullID, w.verifier.Definition()); err != nil {
			t.Fatal(err)
		}
		// One that starts a task of ours is ours before it is decided, too.
		w.sim.Change(func(k *graphtest.Knobs) { k.LoseNotification = 1 })
		if _, err := w.sim.Submit(graphtest.JobSpec{Printer: pullID, User: studentID}); err != nil {
			t.Fatal(err)
		}
		looks("a job of ours that nobody has decided", "0")
	})
}

// The kept sign-in of an administrator tells what the trigger is at once; when it
// can't be used, what the jobs do tells.
func TestDriftSeen(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		reg := prometheus.NewRegistry()
		core, logs := observer.New(zap.InfoLevel)
		var failing bool
		l := w.live("", func(d *connector.Deps) {
			d.Registerer, d.Logger = reg, zap.New(core)
			admin := administrator(t, w)
			d.Trigger = func(ctx context.Context, printer, definition string) (string, string, error) {
				if failing {
					return "", "", register.ErrForbidden
				}
				return register.CheckTrigger(ctx, admin, printer, definition, appID)
			}
		})
		looks := func(what string, followMe int, said string) {
			t.Helper()
			logs.TakeAll()
			time.Sleep(11 * time.Minute) // virtual
			l.sweep(t)
			want := fmt.Sprintf(`
# HELP pullprint_trigger_drift 1 when jobs of the queue print without starting a task of ours: its trigger is missing or another's; else 0.
# TYPE pullprint_trigger_drift gauge
pullprint_trigger_drift{queue="Follow-Me"} %d
pullprint_trigger_drift{queue="Poster"} 0
`, followMe)
			if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "pullprint_trigger_drift"); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			found := ""
			for _, e := range logs.FilterMessageSnippet("queue").All() {
				found += fmt.Sprint(e.Message, " ", e.ContextMap()["found"])
			}
			if !strings.Contains(found, said) || (said == "") != (found == "") {
				t.Errorf("%s: said %q, want %q", what, found, said)
			}
		}
		looks("well", 0, "")
		if err := w.sim.RemoveTrigger(pullID); err != nil {
			t.Fatal(err)
		}
		looks("taken away", 1, "queue drifted its trigger is missing")
		if _, err := w.sim.AddTrigger(pullID, w.sim.PlantDefinition("99999999-0000-4000-8000-000000000009", "Other Vendor")); err != nil {
			t.Fatal(err)
		}
		looks("another's, said once", 1, "")
		if err := w.sim.RemoveTrigger(pullID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.sim.AddTrigger(pullID, w.verifier.Definition()); err != nil {
			t.Fatal(err)
		}
		looks("put back", 0, "queue is ours again")
		failing = true
		looks("nobody can look, and no job says otherwise", 0, "")
	})
}

// administrator is a Printer Administrator who signed in.
func administrator(t *testing.T, w *world) *graph.Client {
	t.Helper()
	id := w.sim.AddUser(graphtest.User{UPN: "admin@contoso.com", Administrator: true}).ID
	c, err := graph.SignInPerson(t.Context(), graph.Config{
		TenantID: tenantID, Auth: auth.Config{ClientID: appID},
		Endpoints: graph.Endpoints{Graph: "http://127.0.0.1:9440/v1.0", Authority: "http://127.0.0.1:9440"},
	}, graph.Options{Transport: w.sim.Transport()}, slices.Concat(graph.TriggerRights, graph.PrintRights), func(p auth.Prompt) {
		if err := w.sim.ApproveDevice(p.Code, id); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
