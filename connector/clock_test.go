package connector_test

import (
	"slices"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// A clock that jumps is no reason to abort what is held: only when Graph's clock says
// so as well is a hold over. skew is what Graph's clock is ahead of this machine's.
func TestHoldEndsByBothClocks(t *testing.T) {
	racetest.Skip(t, "one clock after the other")
	for name, c := range map[string]struct {
		held   time.Duration // by this machine's clock
		skew   time.Duration // then
		before time.Duration // when the job came
		state  job.State
	}{
		"both agree":                           {25 * time.Minute, 0, 0, job.Aborted},
		"this clock jumped ahead by a day":     {25 * time.Minute, -24 * time.Hour, 0, job.Held},
		"graph tells a wrong time once":        {5 * time.Minute, 48 * time.Hour, 0, job.Held},
		"this clock was behind and is not now": {25 * time.Minute, 0, 24 * time.Hour, job.Held},
		"this clock is ahead all the time":     {25 * time.Minute, -24 * time.Hour, -24 * time.Hour, job.Aborted},
		"and the hold is not over":             {15 * time.Minute, -24 * time.Hour, -24 * time.Hour, job.Held},
		"a few minutes":                        {30 * time.Minute, -5 * time.Minute, 0, job.Aborted},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := graphtest.Calm()
				w := newWorld(t, bustest.Open(t), k)
				skew := func(by time.Duration) { w.sim.Change(func(k *graphtest.Knobs) { k.ClockAhead = by }) }
				skew(c.before)
				l := w.live("", func(d *connector.Deps) {
					d.Queues = slices.Clone(d.Queues)
					d.Queues[0].HoldFor = 20 * time.Minute
				})
				id, d := w.print(graphtest.JobSpec{Printer: pullID})
				l.worker.Handle(l.ctx, d)
				skew(c.skew)
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
	racetest.Skip(t, "one clock after the other")
	for _, ahead := range []time.Duration{-10 * time.Minute, -100 * time.Hour, 10 * time.Minute, 100 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := graphtest.Calm()
				k.ClockAhead, k.SubscriptionLife = ahead, time.Hour
				w := newWorld(t, bustest.Open(t), k) // waits until the subscription lives
				if err := w.verifier.SubscriptionLive(); err != nil {
					t.Error(err)
				}
				made := w.sim.AllCalls()["subscriptions.create"]
				time.Sleep(10 * time.Minute)
				if n := w.sim.AllCalls()["subscriptions.create"] - made; n != 0 {
					t.Errorf("%d more are made in ten minutes", n)
				}
				time.Sleep(time.Hour) // it is renewed in time
				if n := w.sim.AllCalls()["subscriptions.create"] - made; n != 0 {
					t.Errorf("%d more are made in another hour", n)
				}
				if err := w.verifier.SubscriptionLive(); err != nil || len(w.sim.Subscriptions()) != 1 {
					t.Error(err, w.sim.Subscriptions())
				}
			})
		})
	}
}

// What a process noted by a clock that was ahead is not waited for until that time: its
// successors go on with the job within minutes, also beside another replica.
func TestIntentOfAClockThatWasAhead(t *testing.T) {
	racetest.Skip(t, "one clock after the other")
	for _, ahead := range []time.Duration{0, 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
		for _, spot := range []string{"after intent", "after call"} {
			t.Run(ahead.String()+" "+spot, func(t *testing.T) {
				bustest.Virtual(t, func(t *testing.T) {
					w := newWorld(t, bustest.Open(t), graphtest.Calm())
					id := w.hold()
					l := w.live(spot)
					_, _ = l.release.Release(l.ctx, order())
					l.end()
					w.shift(t, id, ahead)
					want := job.Held // nobody stands there any more
					if spot == "after call" {
						want = job.Released
						w.sim.Change(func(k *graphtest.Knobs) { k.UnknownWords = 1 })
					}
					l = w.live("", func(d *connector.Deps) { d.Sole = false })
					for range 12 {
						time.Sleep(time.Minute)
						l.sweep(t)
					}
					w.sim.Change(func(k *graphtest.Knobs) { k.UnknownWords = 0 })
					l.sweep(t)
					if rec := w.record(id); rec.State != want {
						t.Errorf("the job is %s, want %s: %+v", rec.State, want, rec.Trail)
					}
				})
			})
		}
	}
}

// shift makes the newest step of a job one that was noted by a clock that is ahead.
func (w *world) shift(t *testing.T, id graphtest.JobID, ahead time.Duration) {
	t.Helper()
	store := job.NewStore(w.bus.Jobs(), job.DefaultRetention)
	rec, rev, err := store.Get(t.Context(), w.recordKey(id))
	if err != nil || !rec.State.Intent() {
		t.Fatal(rec.State, err)
	}
	rec.Intent.Since, rec.Decision.At, rec.Release.At = rec.Intent.Since.Add(ahead), rec.Decision.At.Add(ahead), rec.Release.At.Add(ahead)
	if _, ok, err := store.Put(t.Context(), &rec, rev); err != nil || !ok {
		t.Fatal(ok, err)
	}
}

// A printer is heard of by Graph's clock: one that is well is not taken for silent
// because this machine's is ahead.
func TestPrinterIsHeardOfByGraphsClock(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Calm()
		k.ClockAhead = -24 * time.Hour
		time.Sleep(30 * 24 * time.Hour) // a printer that was heard of before 2000 counts as one that never was
		w := newWorld(t, bustest.Open(t), k)
		w.hold()
		w.setPrinter(westID, "unknown", true)
		if err := w.sim.SetDetails(westID, time.Now().Add(k.ClockAhead)); err != nil {
			t.Fatal(err)
		}
		l := w.live("")
		if out, err := l.release.Release(l.ctx, order()); err != nil || len(out.Released) != 1 {
			t.Errorf("%+v, %v", out, err)
		}
	})
}
