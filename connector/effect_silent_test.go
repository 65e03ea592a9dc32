package connector_test

import (
	"fmt"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// A job that was redirected is paid for, whatever state Graph shows it in and whatever it
// leaves out, when the answer to the redirect was lost.
func TestRedirectedJobThatGraphSaysLittleOf(t *testing.T) {
	racetest.Skip(t, "one answer of Graph after the other")
	for _, state := range []string{"completed", "aborted", "canceled", "paused"} {
		for _, nulls := range [][]string{{"tasks"}, {"redirectedTo"}, {"redirectedTo", "tasks"}} {
			t.Run(fmt.Sprint(state, nulls), func(t *testing.T) {
				bustest.Virtual(t, func(t *testing.T) {
					k := graphtest.Calm()
					k.PrintTime = 90 * time.Second
					k.RedirectedStates, k.Null, k.NullOf = []string{state}, 1, nulls
					w := newWorld(t, bustest.Open(t), k)
					id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 7})
					m := &effectFault{w: w}
					l := w.live("", withPolicy(t, "refunds: {canceled: 1, aborted: 1}\n"+weekly), m.through)
					l.worker.Handle(l.ctx, d)
					_, _ = l.release.Release(l.ctx, order())
					for range 6 {
						time.Sleep(time.Minute)
						l.sweep(t)
					}
					w.has(t, weekly, 7, 0)
					if rec := w.record(id); rec.State != job.Released || rec.Release.Job == "" || w.sim.Prints(id) != 1 {
						t.Errorf("printed %d times, and the record is %s: %+v", w.sim.Prints(id), rec.State, rec.Release)
					}
				})
			})
		}
	}
}

// The same when the printer does not show the job either: its state at the queue says nothing
// about the paper.
func TestRedirectedJobThatIsShownNowhere(t *testing.T) {
	racetest.Skip(t, "one answer of Graph after the other")
	for _, state := range []string{"completed", "aborted", "canceled"} {
		for _, keep := range []time.Duration{job.DefaultRetention, time.Second} {
			t.Run(fmt.Sprint(state, keep), func(t *testing.T) {
				bustest.Virtual(t, func(t *testing.T) {
					k := graphtest.Calm()
					k.RedirectedStates, k.Null, k.NullOf = []string{state}, 1, []string{"redirectedTo", "redirectedFrom"}
					w := newWorld(t, bustest.Open(t), k)
					_, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 7})
					m := &effectFault{w: w}
					l := w.live("", withPolicy(t, "refunds: {canceled: 1, aborted: 1}\n"+weekly), m.through, func(d *connector.Deps) {
						d.Jobs = job.NewStore(w.bus.Jobs(), keep)
					})
					l.worker.Handle(l.ctx, d)
					_, _ = l.release.Release(l.ctx, order())
					for range 6 {
						time.Sleep(2 * time.Minute)
						l.sweep(t)
					}
					w.has(t, weekly, 7, 0)
				})
			})
		}
	}
}

// A job that was let print, and ended at its printer before it was known that it was: its task
// says so, also when Graph does not show it with the job.
func TestCompletedJobThatIsShownWithoutItsTask(t *testing.T) {
	racetest.Skip(t, "one answer of Graph after the other")
	for name, end := range map[string]func(*graphtest.Sim, graphtest.JobID) error{
		"canceled": (*graphtest.Sim).CancelJob, "aborted": (*graphtest.Sim).FailJob,
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := graphtest.Calm()
				k.PrintTime, k.Null, k.NullOf = time.Hour, 1, []string{"tasks"}
				w := newWorld(t, bustest.Open(t), k)
				src := "refunds: {canceled: 0, aborted: 0}\n" + weekly
				id, d := w.print(graphtest.JobSpec{Printer: directID, Pages: 7})
				l := w.live("after call", withPolicy(t, src))
				l.worker.Handle(l.ctx, d)
				l.end()
				if err := end(w.sim, id); err != nil {
					t.Fatal(err)
				}
				l = w.live("", withPolicy(t, src))
				for range 3 {
					time.Sleep(time.Minute)
					l.sweep(t)
				}
				w.has(t, weekly, 7, 0)
				if rec := w.record(id); rec.State != job.Completed {
					t.Errorf("the record is %s: %+v", rec.State, rec.Trail)
				}
			})
		})
	}
}

// A job that was redirected by a try that was taken for not made, and is seen to have ended.
func TestLateRedirectThatGraphSaysLittleOf(t *testing.T) {
	racetest.Skip(t, "one answer of Graph after the other")
	for _, nulls := range [][]string{{"redirectedTo"}, {"redirectedTo", "tasks"}, {"redirectedTo", "tasks", "redirectedFrom"}} {
		t.Run(fmt.Sprint(nulls), func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := graphtest.Calm()
				k.RedirectedStates, k.Null, k.NullOf = []string{"canceled"}, 1, nulls
				w := newWorld(t, bustest.Open(t), k)
				id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 7})
				m := &effectFault{w: w, applied: 4 * time.Minute}
				l := w.live("", withPolicy(t, weekly), m.through)
				l.worker.Handle(l.ctx, d)
				_, _ = l.release.Release(l.ctx, order())
				for range 12 {
					time.Sleep(time.Minute)
					l.sweep(t)
				}
				w.has(t, weekly, 7, 0)
				if rec := w.record(id); rec.State != job.Released {
					t.Errorf("the record is %s: %+v", rec.State, rec.Trail)
				}
			})
		})
	}
}
