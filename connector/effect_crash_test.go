package connector_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/store"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// Where a process can die between taking a task and acknowledging it, in the
// order in which it gets there. "the end" is after everything but the ack.
var spots = []string{
	"before intent", "after intent", "before call", "after call",
	"before audit", "after audit", "before outcome", "after outcome", "the end",
}

// holdSpots are those on the way of a job that is only held.
var holdSpots = []string{"before intent", "after intent", "before audit", "after audit", "the end"}

// end is one of the ways of a job through arrival.
type end struct {
	name  string
	spec  graphtest.JobSpec
	state job.State
	spots []string
	// calls counts how often Graph was asked for the effect.
	calls func(graphtest.Effects) int
}

var ends = []end{
	{"hold", graphtest.JobSpec{Printer: pullID}, job.Held, holdSpots, func(e graphtest.Effects) int { return e.Applied() }},
	{"complete", graphtest.JobSpec{
		Printer: directID,
	}, job.Completed, spots, func(e graphtest.Effects) int { return e.FinishApplied + e.FinishRefused }},
	{"abort", graphtest.JobSpec{Printer: directID, Copies: 51}, job.Aborted, spots, func(e graphtest.Effects) int {
		return e.AbortApplied + e.AbortRefused
	}},
}

// TestOneEffectThroughAnyCrash kills the process at each spot, for each way of
// a job, with the task coming again at once or the sweep being there first, and
// at each pair of spots in two lives. Graph must see the effect asked for
// exactly once, the record must tell the end, and there must be one decision.
func TestOneEffectThroughAnyCrash(t *testing.T) {
	racetest.Skip(t, "one death after the other")
	k := graphtest.Calm()
	k.TaskMemory, k.TaskPage = time.Millisecond, 1000 // short lists
	w := newWorld(t, bustest.Open(t), k)
	tasks := map[string]string{}
	live := func(e end, again string, deaths ...string) {
		t.Run(strings.Join(append([]string{e.name, again}, deaths...), "/"), func(t *testing.T) {
			id, d := w.print(e.spec)
			w.crash(t, d, again, deaths...)
			w.judge(t, id, e)
			tasks[w.task(id)] = t.Name()
		})
	}
	for _, e := range ends {
		for n, first := range e.spots {
			live(e, "redelivery", first)
			live(e, "sweep", first)
			if e.name == "complete" {
				continue // the same code as abort
			}
			for i, second := range e.spots {
				if pair(n, i) {
					live(e, []string{"redelivery", "sweep"}[i%2], first, second)
				}
			}
		}
	}
	decided := w.decisions(t)
	for task, name := range tasks {
		if n := decided[task]; n != 1 {
			t.Errorf("%s: %d decisions in the audit, want 1", name, n)
		}
	}
}

// crash lives through the deaths and then once to the end.
func (w *world) crash(t *testing.T, d store.Delivery, again string, deaths ...string) {
	t.Helper()
	for i, spot := range append(deaths, "") { // a killed store forgets the count of deliveries
		w.liveOnce(t, d, spot, i > 0 && again == "sweep")
	}
}

// liveOnce is one process that hears of the task again; it may have swept
// before, as the message that was not acknowledged comes back only after a
// while.
func (w *world) liveOnce(t *testing.T, d store.Delivery, spot string, sweep bool) {
	t.Helper()
	l := w.live(spot)
	defer l.end()
	if sweep {
		if err := l.sweeper.Sweep(l.ctx); err != nil && !l.dead.Load() {
			t.Fatalf("sweep: %v", err)
		}
	}
	l.worker.Handle(l.ctx, d)
}

// judge looks at what the world has seen in the end.
func (w *world) judge(t testing.TB, id graphtest.JobID, e end) {
	t.Helper()
	want := e.state
	j, _ := w.sim.Job(id)
	wantCalls := 1
	if want == job.Held {
		wantCalls = 0
	}
	if n := e.calls(j.Effects); n != wantCalls {
		t.Errorf("graph saw the effect asked for %d times, want %d: %+v", n, wantCalls, j.Effects)
	}
	rec, rev, err := job.NewStore(w.bus.Jobs(), job.DefaultRetention).Get(t.Context(), job.Key(studentID, graph.Ref(id)))
	if err != nil || rev == 0 {
		t.Fatalf("no record: %v", err)
	}
	if rec.State != want {
		t.Errorf("record is %s, want %s: %+v", rec.State, want, rec.Trail)
	}
	if want == job.Aborted && (j.Reason == "" || rec.Decision.Remedy == "") {
		t.Errorf("aborted without a reason: %q, %+v", j.Reason, rec.Decision)
	}
}

// decisions counts the audit records of each task.
func (w *world) decisions(t testing.TB) map[string]int {
	t.Helper()
	of := map[string]int{}
	for _, d := range w.audit(t) {
		of[d.Task]++
	}
	return of
}

// audit is every decision in the audit stream, oldest first.
func (w *world) audit(t testing.TB) (list []decision.Decision) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := w.bus.Decisions(ctx, time.Time{}, false, func(_ time.Time, body []byte) error {
		var d decision.Decision
		if err := json.Unmarshal(body, &d); err != nil {
			return err
		}
		list = append(list, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (w *world) task(id graphtest.JobID) string {
	job, _ := w.sim.Job(id)
	return job.Task.ID
}

// The reply to an effect is lost, and what Graph tells of the job afterwards is
// in words that we don't know: that is no proof that nothing happened. The
// effect is not called for again until Graph speaks clearly.
func TestUnclearIsNoProof(t *testing.T) {
	for _, e := range ends[1:] {
		t.Run(e.name, func(t *testing.T) {
			w := newWorld(t, bustest.Open(t), graphtest.Calm())
			lost := 0
			w.sim.Change(func(k *graphtest.Knobs) {
				k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
					if r.Method == "GET" || r.Path == "" || lost > 0 {
						return graphtest.Fault{}
					}
					lost++
					return graphtest.Fault{Lose: true, After: func(int) { w.sim.Change(func(k *graphtest.Knobs) { k.UnknownWords = 1 }) }}
				}
			})
			id, d := w.print(e.spec)
			l := w.live("")
			for range 3 {
				l.worker.Handle(l.ctx, d)
			}
			if rec := w.record(id); lost != 1 || !rec.State.Intent() {
				t.Fatalf("%d replies lost, record is %s", lost, rec.State)
			}
			w.sim.Change(func(k *graphtest.Knobs) { k.UnknownWords = 0 })
			l.worker.Handle(l.ctx, d)
			w.judge(t, id, e)
		})
	}
}
