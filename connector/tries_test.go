package connector_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/policy/quota"
	"pullprint/trigger/graph/graphtest"
)

// Two devices with one printer: which one is named when a redirect is found late.
func TestLateRedirectNamesDeviceOfTap(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Calm()
		k.PrintTime = time.Hour
		w := newWorld(t, bustest.Open(t), k)
		two := []connector.Device{
			{ID: "hq-2-west", PrinterID: westID, Queues: []string{"Follow-Me"}},
			{ID: "hq-2-phone", PrinterID: westID, Queues: []string{"Follow-Me"}},
		}
		l := w.live("", func(d *connector.Deps) { d.Devices = two })
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 5})
		l.worker.Handle(l.ctx, d)
		w.sim.Change(func(k *graphtest.Knobs) {
			done := false
			k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
				if strings.HasSuffix(r.Path, "/redirect") && !done {
					done = true
					return graphtest.Fault{LoseAs: 404}
				}
				return graphtest.Fault{}
			}
			k.ReadLag = 40 * time.Second
		})
		out, err := l.release.Release(l.ctx, order())
		t.Logf("%+v %v %s", out, err, w.record(id).State)
		time.Sleep(2 * time.Minute)
		w.sim.Change(func(k *graphtest.Knobs) { k.ReadLag = 0 })
		l.sweep(t)
		rec := w.record(id)
		t.Logf("%s %+v %+v", rec.State, rec.Decision, rec.Release)
		if rec.Decision.Device != "hq-2-west" {
			t.Errorf("tapped at hq-2-west, audit says %s", rec.Decision.Device)
		}
	})
}

// A delegate taps; the redirect is found late: who tapped?
func TestLateRedirectNamesDelegate(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Calm()
		k.PrintTime = time.Hour
		w := newWorld(t, bustest.Open(t), k)
		l := w.live("")
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 5})
		l.worker.Handle(l.ctx, d)
		now := time.Now()
		lent := connector.Delegation{Owner: studentID, To: stayerID, Since: now, Expires: now.Add(time.Hour)}
		if err := connector.NewDelegations(w.bus.State()).Put(t.Context(), lent); err != nil {
			t.Fatal(err)
		}
		w.sim.Change(func(k *graphtest.Knobs) {
			done := false
			k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
				if strings.HasSuffix(r.Path, "/redirect") && !done {
					done = true
					return graphtest.Fault{LoseAs: 404}
				}
				return graphtest.Fault{}
			}
			k.ReadLag = 40 * time.Second
		})
		o := order()
		o.Owner = stayerID
		out, err := l.release.Release(l.ctx, o)
		t.Logf("%+v %v %s", out, err, w.record(id).State)
		time.Sleep(2 * time.Minute)
		w.sim.Change(func(k *graphtest.Knobs) { k.ReadLag = 0 })
		l.sweep(t)
		rec := w.record(id)
		t.Logf("%s %+v", rec.State, rec.Decision)
		if rec.Decision.Actor != stayerID {
			t.Errorf("released by delegate %s, audit of the release names %q", stayerID, rec.Decision.Actor)
		}
	})
}

// The same the other way round, and the second try at another device.
func TestChargedForTryAtOtherDevice(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Calm()
		w := newWorld(t, bustest.Open(t), k)
		l := w.live("", withPolicy(t, weekly))
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 2, Copies: 8})
		l.worker.Handle(l.ctx, d)
		n := 0
		w.sim.Change(func(k *graphtest.Knobs) {
			k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
				if strings.HasSuffix(r.Path, "/redirect") {
					if n++; n == 1 {
						return graphtest.Fault{LoseAs: 404}
					}
					return graphtest.Fault{After: func(int) { w.sim.Change(func(k *graphtest.Knobs) { k.ReadLag = 0 }) }}
				}
				return graphtest.Fault{}
			}
			k.ReadLag = 2 * time.Minute
		})
		out, err := l.release.Release(l.ctx, order())
		t.Logf("1st: %d released %d kept %v: %s", len(out.Released), len(out.Kept), err, w.record(id).State)
		time.Sleep(45 * time.Second)
		o := order()
		o.Device, o.Set.Copies = "hq-2-east", 1
		out, err = l.release.Release(l.ctx, o)
		t.Logf("2nd: %+v %v: %s", out, err, w.record(id).State)
		for range 4 {
			time.Sleep(time.Minute)
			l.sweep(t)
		}
		for _, s := range w.sim.Paper() {
			t.Logf("paper: %d pages, %d copies at %s", s.Pages, s.Copies, s.Job.Printer)
		}
		rec := w.record(id)
		b := w.standing(t, weekly)
		t.Logf("spent %s reserved %s; audit device %s; release %+v", b.Spent, b.Reserved, rec.Decision.Device, rec.Release)
		if b.Spent+b.Reserved != 16*quota.Unit {
			t.Errorf("16 pages came out, %s are charged", b.Spent+b.Reserved)
		}
		if rec.Decision.Device != "hq-2-west" {
			t.Errorf("paper at hq-2-west, the audit says %s", rec.Decision.Device)
		}
	})
}

// The first try, of one copy, was made and not seen; the second asks for all copies.
func TestChargedForTryThatWasMade(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Calm()
		w := newWorld(t, bustest.Open(t), k)
		l := w.live("", withPolicy(t, weekly))
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 2, Copies: 8})
		l.worker.Handle(l.ctx, d)
		n := 0
		w.sim.Change(func(k *graphtest.Knobs) {
			k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
				if strings.HasSuffix(r.Path, "/redirect") {
					if n++; n == 1 {
						return graphtest.Fault{LoseAs: 404}
					}
					return graphtest.Fault{After: func(int) { w.sim.Change(func(k *graphtest.Knobs) { k.ReadLag = 0 }) }}
				}
				return graphtest.Fault{}
			}
			k.ReadLag = 2 * time.Minute
		})
		o := order()
		o.Set.Copies = 1
		out, err := l.release.Release(l.ctx, o)
		t.Logf("1st: %d released %d kept %v: %s", len(out.Released), len(out.Kept), err, w.record(id).State)
		time.Sleep(45 * time.Second)
		out, err = l.release.Release(l.ctx, order())
		t.Logf("2nd: %d released %d kept %v: %s", len(out.Released), len(out.Kept), err, w.record(id).State)
		for range 4 {
			time.Sleep(time.Minute)
			l.sweep(t)
		}
		for _, s := range w.sim.Paper() {
			t.Logf("paper: %d pages, %d copies at %s", s.Pages, s.Copies, s.Job.Printer)
		}
		b := w.standing(t, weekly)
		t.Logf("spent %s reserved %s", b.Spent, b.Reserved)
		if b.Spent+b.Reserved != 2*quota.Unit {
			t.Errorf("2 pages came out, %s are charged", b.Spent+b.Reserved)
		}
	})
}

// A redirect that was made and not seen; then the queue becomes direct.
func TestRedirectFoundWhenQueueBecomesDirect(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Calm()
		w := newWorld(t, bustest.Open(t), k)
		l := w.live("", withPolicy(t, weekly))
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 2, Copies: 8})
		l.worker.Handle(l.ctx, d)
		w.sim.Change(func(k *graphtest.Knobs) {
			k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
				if strings.HasSuffix(r.Path, "/redirect") {
					return graphtest.Fault{LoseAs: 404}
				}
				return graphtest.Fault{}
			}
			k.ReadLag = 2 * time.Minute
		})
		o := order()
		o.Set.Copies = 1
		_, _ = l.release.Release(l.ctx, o)
		t.Log(w.record(id).State)
		time.Sleep(35 * time.Second)
		l.sweep(t)
		l.end()
		time.Sleep(10 * time.Second)
		l = w.live("", withPolicy(t, weekly), func(d *connector.Deps) {
			d.Queues = slices.Clone(d.Queues)
			d.Queues[0].Mode = "direct"
		})
		d.Attempt = 2
		t.Logf("%+v %s", l.worker.Handle(l.ctx, d), w.record(id).State)
		w.sim.Change(func(k *graphtest.Knobs) { k.ReadLag = 0 })
		for range 5 {
			time.Sleep(time.Minute)
			l.sweep(t)
			w.drain(l)
		}
		for _, s := range w.sim.Paper() {
			t.Logf("paper: %d pages, %d copies at %s", s.Pages, s.Copies, s.Job.Printer)
		}
		seen := false
		for _, d := range w.audit(t) {
			t.Logf("%s %s %s cost %s", d.ID, d.Verdict, d.Reason, d.Cost)
			seen = seen || d.Verdict == "redirect"
		}
		b := w.standing(t, weekly)
		t.Logf("%s spent %s reserved %s", w.record(id).State, b.Spent, b.Reserved)
		if !seen || b.Spent+b.Reserved != 2*quota.Unit {
			t.Errorf("redirected, 2 pages; redirect in the audit: %v, charged %s", seen, b.Spent+b.Reserved)
		}
	})
}

// An older record has its task in capitals.
func TestTaskInCapitalsWaits(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		l := w.live("")
		id, d := w.print(graphtest.JobSpec{Printer: pullID})
		l.worker.Handle(l.ctx, d)
		l.end()
		rec := w.record(id)
		raw, rev, _ := w.bus.Jobs().Get(t.Context(), rec.Key())
		raw = []byte(strings.ReplaceAll(string(raw), rec.Task, strings.ToUpper(rec.Task)))
		if _, ok, err := w.bus.Jobs().CompareAndSet(t.Context(), rec.Key(), raw, rev, 0); !ok || err != nil {
			t.Fatal(ok, err)
		}
		l = w.live("before call")
		_, _ = l.release.Release(l.ctx, order())
		t.Log(w.record(id).State)
		l.end()
		l = w.live("")
		time.Sleep(2 * time.Minute)
		l.sweep(t)
		if out, err := l.release.Release(l.ctx, order()); err != nil || len(out.Released) != 1 {
			t.Errorf("%+v, %v, %s: its task waits", out, err, w.record(id).State)
		}
	})
}
