package connector_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/stored"
	"pullprint/connector/job"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// One damaged record costs itself alone: the sweep goes on, settles what others
// owe, and their jobs are released; it is counted.
func TestDamagedRecords(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		reg := prometheus.NewRegistry()
		damage := func(kv *stored.KV, key, value string) {
			t.Helper()
			if _, ok, err := kv.CompareAndSet(t.Context(), key, []byte(value), 0, 0); err != nil || !ok {
				t.Fatal(key, ok, err)
			}
		}
		damage(w.bus.Quota(), strangerID, `{"seq":`)
		damage(w.bus.Jobs(), studentID+"."+pullID+".4711", `{"state":"held"`)
		damage(w.bus.Jobs(), strangerID+"."+pullID+".4712", `{"printer":"`+pullID+`","job":"4712","state":"held","trail":7}`)
		damage(w.bus.State(), "delegation."+studentID+"."+strangerID, `{"owner"`)
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 4})
		l := w.live("", withPolicy(t, weekly), func(d *connector.Deps) {
			d.Registerer = reg
		})
		l.worker.Handle(l.ctx, d)
		out, err := l.release.Release(l.ctx, order())
		if err != nil || len(out.Released) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		time.Sleep(time.Minute)
		l.sweep(t)
		l.sweep(t)
		w.has(t, weekly, 4, 0)
		if rec := w.record(id); rec.State != job.Released {
			t.Error(rec.State)
		}
		const want = `
# HELP pullprint_damaged_records_total Records met in the store that can't be read and were left out, by kind: account, badge, job, delegation or state.
# TYPE pullprint_damaged_records_total counter
pullprint_damaged_records_total{kind="account"} 2
pullprint_damaged_records_total{kind="badge"} 0
pullprint_damaged_records_total{kind="delegation"} 1
pullprint_damaged_records_total{kind="job"} 2
pullprint_damaged_records_total{kind="state"} 0
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "pullprint_damaged_records_total"); err != nil {
			t.Error(err)
		}
	})
}

// A reservation whose job has no record any more is ended by what it was for.
func TestReservationWithoutRecord(t *testing.T) {
	racetest.Skip(t, "one reservation after the other")
	for name, c := range map[string]struct {
		attempt, what string
		age           time.Duration
		end           func(w *world, id graphtest.JobID)
		spent, open   int
	}{
		"held, waits":                      {"t", "hold", time.Hour, nil, 0, 3},
		"held, canceled":                   {"t", "hold", 48 * time.Hour, cancelIt, 0, 0},
		"redirect, forgotten":              {"t:release:1", "redirect", time.Hour, forgetIt, 3, 0},
		"redirect, canceled in the queue":  {"t:release:1", "redirect", time.Hour, cancelIt, 0, 0},
		"complete, forgotten":              {"t", "complete", time.Hour, forgetIt, 3, 0},
		"from before: redirect, forgotten": {"t:release:1", "", time.Hour, forgetIt, 3, 0},
		"from before: arrival, young":      {"t", "", time.Hour, forgetIt, 0, 0},
		"from before: arrival, old":        {"t", "", 48 * time.Hour, forgetIt, 3, 0},
		"of a clock that was ahead":        {"t", "hold", -48 * time.Hour, cancelIt, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				time.Sleep(49 * time.Hour) // all within a week
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				id, _ := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3})
				spendElsewhere(t, w, 0)
				b := w.standing(t, weekly)
				claim := quota.Claim{Account: b.Account, Limit: b.Limit, Period: weekOf(t), Names: b.Names}
				ledger := ledger.New(w.bus.Quota(), w.bus, rand.Text)
				err := ledger.Reserve(t.Context(), quota.Charge{
					Job: graph.Ref(id).Name(), Attempt: c.attempt, Owner: studentID, Amount: 3 * quota.Unit, Claims: []quota.Claim{claim},
					Now: time.Now().Add(-c.age), For: c.what,
				})
				if err != nil {
					t.Fatal(err)
				}
				if c.end != nil {
					c.end(w, id)
				}
				l := w.live("", withPolicy(t, weekly))
				l.sweep(t)
				w.has(t, weekly, c.spent, c.open)
			})
		})
	}
}

func weekOf(t *testing.T) quota.Period {
	t.Helper()
	p, err := quota.ParsePeriod(quota.Week, "", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func cancelIt(w *world, id graphtest.JobID) { _ = w.sim.CancelJob(id) }
func forgetIt(w *world, id graphtest.JobID) { _ = w.sim.DeleteJob(id) }
