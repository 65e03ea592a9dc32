package connector_test

import (
	"crypto/rand"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

// A sweep gives back what an earlier try left on an account that does not pay for a held
// job. A newer try that reserves there while the sweep asks Graph for the job keeps it.
func TestNewerTryKeepsItsReservation(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		const early = "reserve: arrival\n" + weekly
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		l := w.live("", withPolicy(t, early))
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 2})
		l.worker.Handle(l.ctx, d)
		w.has(t, early, 0, 2)
		ledger := ledger.New(w.bus.Quota(), w.bus, rand.Text)
		group := quota.Account{Kind: quota.Group, Name: "students"}
		period, err := quota.ParsePeriod("week", "", time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		reserve := func(attempt string) {
			err := ledger.Reserve(t.Context(), quota.Charge{
				Job: graph.Ref(id).Name(), Attempt: attempt, Owner: studentID, Amount: quota.Unit, Now: time.Now(), For: "redirect",
				Claims: []quota.Claim{{Account: group, Names: []string{"all"}, Limit: 100 * quota.Unit, Period: period}},
			})
			if err != nil {
				t.Error(err)
			}
		}
		reserve("an earlier try")
		time.Sleep(2 * time.Minute)
		reads := 0
		w.sim.Change(func(k *graphtest.Knobs) {
			k.Intercept = func(op string, r graphtest.Request) graphtest.Fault {
				if op == graphtest.OpJobGet && r.Job == id.Job {
					if reads++; reads == 2 { // the first is of the record, the second of its reservations
						reserve("a newer try")
					}
				}
				return graphtest.Fault{}
			}
		})
		l.sweep(t)
		view, err := ledger.View(t.Context(), group)
		if err != nil || len(view.Reservations) != 1 || view.Reservations[0].Attempt != "a newer try" {
			t.Errorf("after %d reads of the job: %+v, %v", reads, view.Reservations, err)
		}
		time.Sleep(2 * time.Minute)
		l.sweep(t) // that one came to nothing
		if view, err = ledger.View(t.Context(), group); err != nil || len(view.Reservations) != 0 {
			t.Errorf("%+v, %v", view.Reservations, err)
		}
		w.has(t, early, 0, 2)
	})
}
