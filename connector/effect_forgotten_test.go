package connector_test

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// A redirect was taken for not made, the queue became direct, and the job's task can't be
// completed, as the redirect completed it. Graph then knows the job at its device only: it was
// released, by that try and at its cost, and not completed.
func TestForgottenJobThatIsAtItsDevice(t *testing.T) {
	racetest.Skip(t, "one sweep after the other")
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Calm()
		k.PrintTime = time.Hour
		w := newWorld(t, bustest.Open(t), k)
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 5})
		l := w.live("", withPolicy(t, weekly))
		l.worker.Handle(l.ctx, d)
		w.hideRedirect(7 * time.Minute)
		_, _ = l.release.Release(l.ctx, order()) // what is told is not true yet
		time.Sleep(35 * time.Second)
		l.sweep(t)
		time.Sleep(330 * time.Second)
		if s := w.record(id).State; s != job.Held {
			t.Fatalf("after the redirect that nobody sees: %s", s)
		}
		l.end()
		l = w.live("", withPolicy(t, weekly), func(d *connector.Deps) {
			d.Queues = slices.Clone(d.Queues)
			d.Queues[0].Mode = printer.ModeDirect
		})
		var completing atomic.Bool
		w.sim.Change(func(k *graphtest.Knobs) {
			k.Intercept = func(op string, r graphtest.Request) graphtest.Fault {
				switch {
				case op == graphtest.OpTaskUpdate:
					completing.Store(true)
					return graphtest.Fault{Refuse: http.StatusConflict}
				case op == graphtest.OpJobList && !completing.Load():
					return graphtest.Fault{Refuse: http.StatusForbidden}
				case op == graphtest.OpJobGet && r.Job == id.Job && completing.Load():
					return graphtest.Fault{Refuse: http.StatusNotFound}
				}
				return graphtest.Fault{}
			}
		})
		l.worker.Handle(l.ctx, d)
		if !completing.Load() {
			t.Fatal("it was not to be completed")
		}
		w.sim.Change(func(k *graphtest.Knobs) { k.ReadLag = 0 })
		for range 4 {
			time.Sleep(time.Minute)
			l.sweep(t)
		}
		rec := w.record(id)
		if rec.State != job.Gone && rec.State != job.Released || rec.Decision.Verdict != "redirect" || rec.Decision.Device != "hq-2-west" {
			t.Errorf("%s by %s at %q, %+v", rec.State, rec.Decision.Verdict, rec.Decision.Device, rec.Decision.Answer)
		}
	})
}
