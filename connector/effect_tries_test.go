package connector_test

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/delegation"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/policy/quota"
	"pullprint/trigger/graph/graphtest"
)

// Two devices with one printer: which one is named when a redirect is found late.
func TestLateRedirectNamesDeviceOfTap(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Calm()
		k.PrintTime = time.Hour
		w := newWorld(t, bustest.Open(t), k)
		two := []printer.Device{
			{ID: "hq-2-west", PrinterID: westID, Queues: []string{"Follow-Me"}},
			{ID: "hq-2-phone", PrinterID: westID, Queues: []string{"Follow-Me"}},
		}
		l := w.live("", func(d *connector.Deps) { d.Devices = two })
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 5})
		l.worker.Handle(l.ctx, d)
		w.sim.Change(redirectDeniedAndUnseen())
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
		lent := delegation.Delegation{Owner: studentID, To: stayerID, Since: now, Expires: now.Add(time.Hour)}
		if err := delegation.New(w.bus.State()).Put(t.Context(), lent); err != nil {
			t.Fatal(err)
		}
		w.sim.Change(redirectDeniedAndUnseen())
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

// hiddenRedirect tries to release a job of 2 pages and 8 copies twice. The first redirect was
// made, and Graph refuses it and does not show it until the second was called for.
func hiddenRedirect(t *testing.T, first, second func(o *release.Order)) (*world, job.Record) {
	t.Helper()
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	l := w.live("", withPolicy(t, weekly))
	id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 2, Copies: 8})
	l.worker.Handle(l.ctx, d)
	n := 0
	w.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
			if !strings.HasSuffix(r.Path, "/redirect") {
				return graphtest.Fault{}
			}
			if n++; n == 1 {
				return graphtest.Fault{LoseAs: http.StatusNotFound}
			}
			return graphtest.Fault{After: func(int) { w.sim.Change(func(k *graphtest.Knobs) { k.ReadLag = 0 }) }}
		}
		k.ReadLag = 2 * time.Minute
	})
	for _, change := range []func(*release.Order){first, second} {
		o := order()
		change(&o)
		_, _ = l.release.Release(l.ctx, o) // what is told is not true yet
		time.Sleep(45 * time.Second)
	}
	for range 4 {
		time.Sleep(time.Minute)
		l.sweep(t)
	}
	if n := w.sim.Prints(id); n != 1 {
		t.Errorf("printed %d times", n)
	}
	return w, w.record(id)
}

// The first try, of all copies, was made and not seen; the second asks for one copy at
// another device.
func TestChargedForTryAtOtherDevice(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w, rec := hiddenRedirect(t, func(*release.Order) {}, func(o *release.Order) { o.Device, o.Set.Copies = "hq-2-east", 1 })
		w.has(t, weekly, 16, 0)
		if rec.Decision.Device != "hq-2-west" {
			t.Errorf("paper at hq-2-west, the audit says %s", rec.Decision.Device)
		}
	})
}

// The first try, of one copy, was made and not seen; the second asks for all copies.
func TestChargedForTryThatWasMade(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w, _ := hiddenRedirect(t, func(o *release.Order) { o.Set.Copies = 1 }, func(*release.Order) {})
		w.has(t, weekly, 2, 0)
	})
}

// Of two tries that ask for the same at the same printer, the newer is the one that is told of.
func TestNewerOfEqualTries(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		l := w.live("", withPolicy(t, weekly))
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 2})
		l.worker.Handle(l.ctx, d)
		n := 0
		w.sim.Change(func(k *graphtest.Knobs) {
			k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
				if !strings.HasSuffix(r.Path, "/redirect") {
					return graphtest.Fault{}
				}
				if n++; n == 1 {
					return graphtest.Fault{Refuse: http.StatusBadRequest}
				}
				return graphtest.Fault{LoseAs: http.StatusGatewayTimeout}
			}
		})
		for _, actor := range []string{"first", "second"} {
			o := order()
			o.Actor = actor
			_, _ = l.release.Release(l.ctx, o)
			time.Sleep(time.Minute)
		}
		l.sweep(t)
		rec := w.record(id)
		if rec.State != job.Released || rec.Decision.Actor != "second" {
			t.Errorf("%s, and the audit tells of the %s try", rec.State, rec.Decision.Actor)
		}
		if d := w.audit(t); len(d) != 3 { // hold, keep, redirect
			t.Errorf("%d decisions in the audit: %+v", len(d), d)
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
		d.Delivered = 2
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

// redirectDeniedAndUnseen has the next redirect be made and answered with 404, and what is read
// of it be 40 s old.
func redirectDeniedAndUnseen() func(*graphtest.Knobs) {
	return func(k *graphtest.Knobs) {
		var done atomic.Bool
		k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
			if strings.HasSuffix(r.Path, "/redirect") && done.CompareAndSwap(false, true) {
				return graphtest.Fault{LoseAs: http.StatusNotFound}
			}
			return graphtest.Fault{}
		}
		k.ReadLag = 40 * time.Second
	}
}
