package connector_test

import (
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/release"
	"pullprint/trigger/graph/graphtest"
)

// A cancellation that counted as made, and the one after it.
func TestSecondCancellationIsAudited(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		b := &blank{w: w}
		id, d := w.print(graphtest.JobSpec{Printer: pullID})
		l := w.live("", func(d *connector.Deps) { d.Graph = answered{w.client(b)} })
		l.worker.Handle(l.ctx, d)
		sweeps := func(n int) {
			for range n {
				time.Sleep(time.Minute)
				_ = l.sweeper.Sweep(l.ctx)
				w.drain(l)
			}
		}
		rec := w.record(id)
		_, err := l.release.Cancel(l.ctx, release.Cancellation{Key: rec.Key(), Actor: "first"})
		t.Log(err)
		sweeps(15)
		t.Log(w.record(id).State)
		b.over.Store(true)
		sweeps(5)
		t.Log("after it was shown waiting: ", w.record(id).State)
		_, err = l.release.Cancel(l.ctx, release.Cancellation{Key: rec.Key(), Actor: "second"})
		t.Log(err, w.record(id).State)
		j, _ := w.sim.Job(id)
		t.Log(j.State, j.Effects)
		n := 0
		for _, d := range w.audit(t) {
			t.Logf("%s %s %s %s %s", d.ID, d.At, d.Verdict, d.Reason, d.Actor)
			if d.Actor == "second" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("the cancellation that was made is %d times in the audit", n)
		}
	})
}
