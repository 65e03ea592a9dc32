package connector_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/policy"
	"pullprint/policy/policyfile"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// What was paid for on arrival, after a try in a cheaper variant that surely was not made.
func TestReservedOnArrivalAfterCheaperTry(t *testing.T) {
	racetest.Skip(t, "one try after the other")
	for name, o2 := range map[string]policy.Settings{"fewer copies": {Copies: 1}, "as sent": {}} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := graphtest.Calm()
				k.PrintTime = time.Hour
				w := newWorld(t, bustest.Open(t), k)
				src := "reserve: arrival\n" + weekly
				l := w.live("", withPolicy(t, src))
				id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 2, Copies: 8})
				l.worker.Handle(l.ctx, d)
				w.has(t, src, 0, 16)
				w.sim.Change(func(k *graphtest.Knobs) {
					k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
						if strings.HasSuffix(r.Path, "/redirect") {
							return graphtest.Fault{Refuse: 400}
						}
						return graphtest.Fault{}
					}
				})
				o := order()
				o.Set = o2
				_, _ = l.release.Release(l.ctx, o)
				rec := w.record(id)
				t.Logf("%s, the record has paid %s; account: reserved %s", rec.State, rec.Charge.Amount, w.standing(t, src).Reserved)
				for range 3 {
					time.Sleep(2 * time.Minute)
					l.sweep(t)
				}
				w.has(t, src, 0, 16)
				// another job takes what is free now
				_, d = w.print(graphtest.JobSpec{Printer: directID, Pages: 15})
				w.sim.Change(func(k *graphtest.Knobs) { k.Intercept = nil })
				l.worker.Handle(l.ctx, d)
				out, err := l.release.Release(l.ctx, order())
				for _, k := range out.Kept {
					t.Logf("kept: %s", k.Reason.Text)
				}
				t.Logf("released %d kept %d, %v", len(out.Released), len(out.Kept), err)
				if len(out.Released) != 1 {
					t.Error("a job that was paid for on arrival is refused for its cost")
				}
			})
		})
	}
}

// Another account pays after a reload, and the try is refused: both are reserved.
func TestHeldJobReservedOnOneAccount(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		load := func(src string) *policy.Policy {
			p, err := policyfile.Load("policy.yaml", []byte(src))
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		src := "reserve: arrival\n" + weekly
		const lab = "reserve: arrival\nallowances:\n  - {name: lab, when: 'true', account: center/lab, pages: 20, every: week}\n"
		var pol atomic.Pointer[policy.Policy]
		pol.Store(load(src))
		l := w.live("", func(d *connector.Deps) { d.Policy = pol.Load })
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 5})
		l.worker.Handle(l.ctx, d)
		pol.Store(load(lab))
		w.sim.Change(func(k *graphtest.Knobs) {
			k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
				if strings.HasSuffix(r.Path, "/redirect") {
					return graphtest.Fault{Refuse: 400}
				}
				return graphtest.Fault{}
			}
		})
		_, _ = l.release.Release(l.ctx, order())
		for range 10 {
			time.Sleep(2 * time.Minute)
			l.sweep(t)
		}
		user, center := w.standing(t, src), w.standing(t, lab)
		t.Logf("%s: user reserved %s, lab reserved %s", w.record(id).State, user.Reserved, center.Reserved)
		if user.Reserved != 0 && center.Reserved != 0 {
			t.Error("a held job is reserved on both accounts")
		}
	})
}

// A job that was paid for at arrival stays paid when nobody has to pay any more by the policy
// that it is released by, and the decision says so.
func TestPaidAtArrivalIsTold(t *testing.T) {
	const early = "reserve: arrival\n" + weekly
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 7})
	l := w.live("", withPolicy(t, early))
	l.worker.Handle(l.ctx, d)
	l.end()
	l = w.live("", withPolicy(t, testPolicy))
	if out, err := l.release.Release(l.ctx, order()); err != nil || len(out.Released) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	l.sweep(t)
	w.has(t, early, 7, 0)
	for _, told := range w.audit(t) {
		if told.Verdict != "redirect" || told.Ref != graph.Ref(id) {
			continue
		}
		if told.Cost != 7*quota.Unit || len(told.Accounts) != 1 || told.Accounts[0] != studentID {
			t.Errorf("the decision tells of a cost of %s, paid by %v", told.Cost, told.Accounts)
		}
		return
	}
	t.Error("no decision tells of the release")
}
