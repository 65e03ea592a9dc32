package connector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/held"
	"pullprint/trigger/graph/graphtest"
)

// Where a process can die between taking a task and acknowledging it, in the
// order in which it gets there. "the end" is after everything but the ack.
var spots = []string{
	"before intent", "after intent", "before call", "after call",
	"before audit", "after audit", "before outcome", "after outcome", "the end",
}

// ends are the three ways of a job through arrival.
var ends = []struct {
	name  string
	spec  graphtest.JobSpec
	state held.State
	// effects is how many calls for an effect Graph may see at most when the
	// process dies at no spot after which nobody can know.
	calls func(graphtest.Effects) int
}{
	{"hold", graphtest.JobSpec{Printer: pullID}, held.Held, func(e graphtest.Effects) int { return e.Applied() }},
	{"complete", graphtest.JobSpec{Printer: directID}, held.Completed, func(e graphtest.Effects) int { return e.FinishApplied + e.FinishRefused }},
	{"abort", graphtest.JobSpec{Printer: directID, Copies: 51}, held.Aborted, func(e graphtest.Effects) int { return e.AbortApplied + e.AbortRefused }},
}

// TestOneEffectThroughAnyCrash kills the process at each spot, and at each pair
// of spots in two lives, for each way of a job, with the task coming again or
// with the sweep finding it. Graph must see the effect asked for exactly once,
// the record must tell the end, and there must be one decision.
func TestOneEffectThroughAnyCrash(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	tasks := map[string]string{}
	for _, end := range ends {
		for _, first := range spots {
			for _, second := range append([]string{""}, spots...) {
				for _, again := range []string{"redelivery", "sweep"} {
					t.Run(fmt.Sprintf("%s/%s/%s/%s", end.name, first, second, again), func(t *testing.T) {
						id, d := w.print(end.spec)
						w.crash(t, id, d, again, first, second)
						w.judge(t, id, end.state, end.calls)
						tasks[w.task(id)] = t.Name()
					})
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
func (w *world) crash(t *testing.T, id graphtest.JobID, d bus.Delivery, again string, deaths ...string) {
	t.Helper()
	for i, spot := range append(deaths, "") {
		if spot == "" && i < len(deaths) {
			continue
		}
		d.Attempt = i + 1
		w.liveOnce(t, id, d, spot, i == 0 || again == "redelivery")
	}
}

// liveOnce is one process that hears of the task again, or sweeps.
func (w *world) liveOnce(t *testing.T, id graphtest.JobID, d bus.Delivery, spot string, delivered bool) {
	t.Helper()
	l := w.live(spot)
	defer l.end()
	if delivered {
		l.worker.Handle(l.ctx, d)
		return
	}
	// The sweep goes on with intents; a task without a record is fed into the
	// stream, so then it is delivered.
	if err := l.sweeper.Sweep(l.ctx); err != nil && !l.dead.Load() && !errors.Is(err, errKilled) {
		t.Fatalf("sweep: %v", err)
	}
	if _, known := l.index.Lookup(held.Ref(id)); !known {
		l.worker.Handle(l.ctx, d)
	}
}

// judge looks at what the world has seen in the end.
func (w *world) judge(t *testing.T, id graphtest.JobID, want held.State, calls func(graphtest.Effects) int) {
	t.Helper()
	job, _ := w.sim.Job(id)
	wantCalls := 1
	if want == held.Held {
		wantCalls = 0
	}
	if n := calls(job.Effects); n != wantCalls {
		t.Errorf("graph saw the effect asked for %d times, want %d: %+v", n, wantCalls, job.Effects)
	}
	rec, rev, err := held.NewStore(w.bus.Jobs()).Get(t.Context(), held.Key(studentID, held.Ref(id)))
	if err != nil || rev == 0 {
		t.Fatalf("no record: %v", err)
	}
	if rec.State != want {
		t.Errorf("record is %s, want %s: %+v", rec.State, want, rec.Trail)
	}
	if want == held.Aborted && (job.Reason == "" || rec.Decision.Remedy == "") {
		t.Errorf("aborted without a reason: %q, %+v", job.Reason, rec.Decision)
	}
}

// decisions counts the audit records of each task.
func (w *world) decisions(t *testing.T) map[string]int {
	t.Helper()
	of := map[string]int{}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := w.bus.Decisions(ctx, time.Time{}, false, func(_ time.Time, body []byte) error {
		var d held.Decision
		if err := json.Unmarshal(body, &d); err != nil {
			return err
		}
		of[d.Task]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return of
}

func (w *world) task(id graphtest.JobID) string {
	job, _ := w.sim.Job(id)
	return job.Task.ID
}
