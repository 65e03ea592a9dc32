package connector_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/policy/quota"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// pausedLedger is the ledger of a process that is paused before it reserves for the n-th time:
// when it goes on, nothing has told it that its time is over.
type pausedLedger struct {
	connector.Ledger
	n         *atomic.Int32
	meanwhile func()
}

func (l pausedLedger) Reserve(ctx context.Context, c quota.Charge) error {
	if l.n.Add(-1) == 0 {
		l.meanwhile()
		ctx = context.WithoutCancel(ctx)
	}
	return l.Ledger.Reserve(ctx, c)
}

// A replica that is paused before it restores what was reserved at arrival, for so long that
// another takes the job over, does not overwrite what that one has reserved: for a newer try, or
// for the one that it found made.
func TestRestoredArrivalIsNotOfANewerTry(t *testing.T) {
	racetest.Skip(t, "one try after the other")
	const early = "reserve: arrival\n" + weekly
	for name, c := range map[string]struct {
		fault graphtest.Fault // of the first redirect, of one copy
		lag   time.Duration
		spent int
	}{
		"a newer try of three copies": {fault: graphtest.Fault{Refuse: http.StatusBadRequest}, spent: 6},
		"the try was made":            {fault: graphtest.Fault{LoseAs: http.StatusBadRequest}, lag: time.Minute, spent: 2},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 2, Copies: 8})
				replica := func(d *connector.Deps) { d.Sole = false }
				other := w.live("", withPolicy(t, early), replica)
				other.worker.Handle(other.ctx, d)
				w.has(t, early, 0, 16)
				var first atomic.Bool
				w.sim.Change(func(k *graphtest.Knobs) {
					k.ReadLag = c.lag
					k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
						if strings.HasSuffix(r.Path, "/redirect") && !first.Swap(true) {
							return c.fault
						}
						return graphtest.Fault{}
					}
				})
				var n atomic.Int32
				n.Store(2) // for the try, and to restore
				paused := w.live("", withPolicy(t, early), replica, func(d *connector.Deps) {
					d.Ledger = pausedLedger{d.Ledger, &n, func() {
						time.Sleep(61 * time.Second) // virtual
						o := order()
						o.Set.Copies = 3
						if _, err := other.release.Release(other.ctx, o); err != nil {
							t.Error(err)
						}
					}}
				})
				o := order()
				o.Set.Copies = 1
				_, _ = paused.release.Release(paused.ctx, o)
				if n.Load() > 0 {
					t.Fatal("nothing was restored")
				}
				for range 3 {
					time.Sleep(time.Minute)
					other.sweep(t)
				}
				if rec := w.record(id); rec.State != job.Released {
					t.Errorf("the job is %s", rec.State)
				}
				w.has(t, early, c.spent, 0)
			})
		})
	}
}
