package connector_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// A shared account that has as many open reservations as it can have: jobs are held, or
// refused with a reason, and go on when there is room again.
func TestAccountWithTooManyReservations(t *testing.T) {
	racetest.Skip(t, "one reservation after the other")
	const lab = "allowances:\n  - {name: lab, when: 'true', account: center/lab, pages: 1_000_000, every: week}\n"
	for name, src := range map[string]string{"at release": lab, "at arrival": "reserve: arrival\n" + lab} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				l := w.live("", withPolicy(t, src))
				rs := map[string]quota.Reservation{}
				for i := range 2000 {
					n := fmt.Sprintf("%s/x%d", pullID, i)
					rs[n] = quota.Reservation{
						Job: n, Attempt: "a", For: "redirect", Owner: stayerID, Amount: quota.Unit, At: time.Now(),
						Periods: map[string]time.Time{},
					}
				}
				value, err := json.Marshal(map[string]any{"seq": 5, "reservations": rs})
				if err != nil {
					t.Fatal(err)
				}
				if _, ok, err := w.bus.Quota().CompareAndSet(t.Context(), "center.lab", value, 0, 0); !ok || err != nil {
					t.Fatal(ok, err)
				}
				id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 5})
				l.worker.Handle(l.ctx, d)
				out, err := l.release.Release(l.ctx, order())
				if err != nil || len(out.Kept) != 1 || out.Kept[0].Reason.Code != reasons.QuotaFull {
					t.Fatalf("%+v, %v", out, err)
				}
				direct, d := w.print(graphtest.JobSpec{Printer: directID, Pages: 5})
				l.worker.Handle(l.ctx, d)
				if rec := w.record(direct); rec.State != job.Aborted || rec.Decision.Reason != reasons.QuotaFull {
					t.Errorf("%s for %s", rec.State, rec.Decision.Reason)
				}
				refused := func(d decision.Decision) bool { return d.Job == id.Job && d.Reason == reasons.QuotaFull }
				if !slices.ContainsFunc(w.audit(t), refused) {
					t.Error("the audit does not say why the job is kept")
				}
				accounts := []quota.Account{{Kind: quota.Center, Name: "lab"}}
				full := ledger.New(w.bus.Quota(), w.bus, rand.Text)
				if _, err := full.Settle(t.Context(), pullID+"/x1", accounts, time.Now()); err != nil {
					t.Fatal(err)
				}
				if out, err := l.release.Release(l.ctx, order()); err != nil || len(out.Released) != 1 {
					t.Errorf("there is room again: %+v, %v", out, err)
				}
			})
		})
	}
}
