package connector_test

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// schedules is how many random schedules TestSchedules plays; -schedules=10000 is
// the long proof.
var schedules = flag.Int("schedules", 0, "random schedules to play; 0: 10, and a part of what else can be drawn by lot or in pairs; the "+
	"gate plays 250, and all of that")

// A schedule is any order of {notify, duplicate, tap, cancel, crash, sweep, tick}
// over a few jobs of two people and several lives of the process, each of which
// may die at any spot. Against the simplest model: a job whose owner tapped after
// it was heard of, and that nobody canceled, printed once at the place of the
// tap; none printed twice; none for the wrong person.
func TestSchedules(t *testing.T) {
	racetest.Skip(t, "the gate plays many of them")
	n := *schedules
	if n == 0 {
		n = 10
	}
	const inOneWorld = 20 // a store that grows makes every life slower
	checks := flag.Lookup("rapid.checks").Value
	before := checks.String()
	defer func() { _ = checks.Set(before) }()
	if err := checks.Set(strconv.Itoa(min(n, inOneWorld))); err != nil {
		t.Fatal(err)
	}
	for i := range max(1, n/inOneWorld) {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := graphtest.Calm()
				k.TaskMemory, k.TaskPage = time.Millisecond, 1000
				w := newWorld(t, bustest.Open(t), k)
				rapid.Check(noDeadline{t}, func(rt *rapid.T) { w.play(rt) })
				if wrong := w.sim.Audit(); len(wrong) > 0 {
					t.Errorf("universal print saw: %v", wrong)
				}
			})
		})
	}
}

// pair reports whether a death at one spot and then at another is tried: all of them in
// the long proof, else a ninth or so.
func pair(first, second int) bool { return *schedules > 0 || (first+second)%9 == 0 }

// noDeadline keeps rapid from asking for the deadline of the test, which has none
// in virtual time.
type noDeadline struct{ testing.TB }

// played is a job of a schedule and what the model knows of it.
type played struct {
	id       graphtest.JobID
	d        store.Delivery
	at       time.Time
	canceled bool // somebody asked to cancel it, or the user did
}

func (w *world) play(rt *rapid.T) {
	var jobs []*played
	deaths := append(slices.Clone(tapSpots), "", "", "", "", "", "", "", "")
	l := w.live("", shortHold)
	defer func() { l.end() }()
	pick := func() *played { return jobs[rapid.IntRange(0, len(jobs)-1).Draw(rt, "job")] }
	for range rapid.IntRange(5, 25).Draw(rt, "steps") {
		if l.dead.Load() || rapid.IntRange(0, 7).Draw(rt, "crash") == 0 {
			l.end()
			l = w.live(rapid.SampledFrom(deaths).Draw(rt, "dies"), shortHold)
		}
		step := rapid.SampledFrom([]string{
			"notify", "notify", "duplicate", "tap", "tap", "stranger taps", "cancel", "user cancels", "sweep", "tick", "two at once",
		}).Draw(rt, "step")
		if len(jobs) == 0 {
			step = "notify"
		}
		switch step {
		case "notify":
			id, d := w.print(graphtest.JobSpec{Printer: pullID})
			j := &played{id: id, d: d, at: time.Now()}
			jobs = append(jobs, j)
			l.worker.Handle(l.ctx, d)
		case "duplicate":
			l.worker.Handle(l.ctx, pick().d)
		case "tap":
			_, _ = l.release.Release(l.ctx, order())
		case "stranger taps":
			o := order()
			o.Owner = strangerID
			if out, err := l.release.Release(l.ctx, o); err == nil && !out.Empty() {
				rt.Fatalf("a stranger was told of jobs: %+v", out)
			}
		case "cancel":
			j := pick()
			j.canceled = true
			_, _ = l.release.Cancel(l.ctx, release.Cancellation{Key: job.Key(studentID, graph.Ref(j.id)), Owner: studentID})
		case "user cancels":
			j := pick()
			j.canceled = true
			_ = w.sim.CancelJob(j.id) // it may have ended
		case "sweep":
			_ = l.sweeper.Sweep(l.ctx)
		case "tick": // up to more than half of the time that a job is held
			time.Sleep(rapid.SampledFrom([]time.Duration{
				time.Second, 20 * time.Second, 2 * time.Minute,
				33 * time.Minute,
			}).Draw(rt, "time"))
		case "two at once":
			done := make(chan struct{})
			go func() { defer close(done); _, _ = l.release.Release(l.ctx, order()) }()
			_, _ = l.release.Release(l.ctx, order())
			<-done
		}
	}
	l.end()
	// In the end the world is well: what was not heard of comes again, and the
	// owner taps once more.
	l = w.live("", shortHold)
	for _, j := range jobs {
		l.worker.Handle(l.ctx, j.d)
	}
	if err := l.sweeper.Sweep(l.ctx); err != nil {
		rt.Fatal(err)
	}
	if out, err := l.release.Release(l.ctx, order()); err != nil || len(out.Kept) > 0 {
		rt.Fatalf("last tap: %+v, %v", out, err)
	}
	for _, j := range jobs {
		if err := w.wellEnded(j); err != nil {
			rt.Fatalf("job %v: %v", j.id, err)
		}
	}
}

// wellEnded holds a job against the model.
func (w *world) wellEnded(j *played) error {
	printJob, _ := w.sim.Job(j.id)
	e := printJob.Effects
	switch {
	case e.RedirectApplied+e.RedirectRefused > 1:
		return fmt.Errorf("%d redirects asked for", e.RedirectApplied+e.RedirectRefused)
	case e.Applied() > 1:
		return fmt.Errorf("changed %d times: %+v", e.Applied(), e)
	case printJob.RedirectedTo != (graphtest.JobID{}) && printJob.RedirectedTo.Printer != westID:
		return fmt.Errorf("redirected to %v", printJob.RedirectedTo)
	case e.AbortApplied > 0 && strings.Contains(printJob.Reason, "[hold.expired]"):
		if held := time.Since(j.at); held < time.Hour {
			return fmt.Errorf("expired after %s", held)
		}
	case !j.canceled && e.RedirectApplied != 1:
		return fmt.Errorf("its owner tapped and it did not print: %+v", e)
	case e.AbortApplied > 0 && !j.canceled:
		return fmt.Errorf("aborted, and nobody asked for it: %q", printJob.Reason)
	}
	rec := w.record(j.id)
	want := job.Released
	switch {
	case e.AbortApplied == 1:
		want = job.Aborted
	case e.RedirectApplied == 0:
		want = job.Gone
	}
	if rec.State != want && !(want == job.Gone && rec.State == "") {
		return fmt.Errorf("the record says %q, the world %q: %+v", rec.State, want, rec.Trail)
	}
	return nil
}
