package connector_test

import (
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/held"
	"pullprint/trigger/graph/graphtest"
)

// A clock that jumps is no reason to abort what is held: only when Graph's clock says
// so as well is a hold over. skew is what Graph's clock is ahead of this machine's.
func TestHoldEndsByBothClocks(t *testing.T) {
	for name, c := range map[string]struct {
		held   time.Duration // by this machine's clock
		skew   time.Duration // then
		before time.Duration // when the job came
		state  held.State
	}{
		"both agree":                           {25 * time.Hour, 0, 0, held.Aborted},
		"this clock jumped ahead by a day":     {25 * time.Hour, -24 * time.Hour, 0, held.Held},
		"graph tells a wrong time once":        {time.Hour, 48 * time.Hour, 0, held.Held},
		"this clock was behind and is not now": {25 * time.Hour, 0, 24 * time.Hour, held.Held},
		"a few minutes":                        {25 * time.Hour, -5 * time.Minute, 0, held.Aborted},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := graphtest.Calm()
				w := newWorld(t, bustest.Open(t), k)
				skew := func(by time.Duration) { w.sim.Change(func(k *graphtest.Knobs) { k.ClockAhead = by }) }
				skew(c.before)
				id := w.hold()
				skew(c.skew)
				l := w.live("")
				time.Sleep(c.held)
				l.sweep(t)
				if rec := w.record(id); rec.State != c.state {
					t.Errorf("the job is %s (%s), want %s", rec.State, rec.Decision.Reason, c.state)
				}
			})
		})
	}
}

// However wrong this machine's clock is, the subscription is asked for within what
// Graph allows, and lives.
func TestSubscriptionWithAWrongClock(t *testing.T) {
	for _, ahead := range []time.Duration{-10 * time.Minute, -100 * time.Hour, 10 * time.Minute, 100 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := graphtest.Calm()
				k.ClockAhead = ahead
				w := newWorld(t, bustest.Open(t), k) // waits until the subscription lives
				if err := w.book.SubscriptionLive(); err != nil {
					t.Error(err)
				}
				made := w.sim.AllCalls()["subscriptions.create"]
				time.Sleep(10 * time.Minute)
				if n := w.sim.AllCalls()["subscriptions.create"] - made; n != 0 {
					t.Errorf("%d more are made in ten minutes", n)
				}
				if ahead.Abs() < time.Hour {
					return
				}
				time.Sleep(40 * time.Hour) // it is renewed in time
				if err := w.book.SubscriptionLive(); err != nil || len(w.sim.Subscriptions()) != 1 {
					t.Error(err, w.sim.Subscriptions())
				}
			})
		})
	}
}
