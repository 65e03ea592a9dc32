package connector_test

import (
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// A machine that comes up with a wrong clock, and does not reach Graph yet, ends no hold: what
// time it is there is not known before it answers.
func TestHoldOutlivesStartWithoutGraph(t *testing.T) {
	racetest.Skip(t, "one start after the other")
	for name, c := range map[string]struct {
		skew time.Duration // what Graph's clock is ahead of this machine's, after the start
		want job.State
	}{
		"the clock is ahead": {-24 * time.Hour, job.Held},
		"the clock is right": {0, job.Aborted},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				id := w.hold(shortHold)
				w.sim.Change(func(k *graphtest.Knobs) { k.ClockAhead = c.skew })
				time.Sleep(2 * time.Hour)
				w.sim.Unreachable(true)
				l := w.live("", shortHold)
				_ = l.sweeper.Sweep(l.ctx) // it fails
				if rec := w.record(id); rec.State != job.Held {
					t.Errorf("before Graph answers the job is %s", rec.State)
				}
				w.sim.Unreachable(false)
				time.Sleep(time.Minute)
				for range 2 {
					l.sweep(t)
				}
				if rec := w.record(id); rec.State != c.want {
					t.Errorf("the job is %s (%s), want %s", rec.State, rec.Decision.Reason, c.want)
				}
			})
		})
	}
}
