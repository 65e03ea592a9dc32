package connector_test

import (
	"context"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// busyLedger is a ledger whose accounts others change all the while, so many times.
type busyLedger struct {
	connector.Ledger
	times *int
}

func (l busyLedger) Reserve(ctx context.Context, c quota.Charge) error {
	if *l.times--; *l.times >= 0 {
		return ledger.ErrBusy
	}
	return l.Ledger.Reserve(ctx, c)
}

// A job whose account others change all the while waits, and is not given up.
func TestBusyAccountIsNoFailure(t *testing.T) {
	racetest.Skip(t, "one delivery after the other")
	bustest.Virtual(t, func(t *testing.T) {
		times := 15
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		l := w.live("", withPolicy(t, "reserve: arrival\n"+weekly), func(d *connector.Deps) {
			d.Ledger = busyLedger{d.Ledger, &times}
		})
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 2})
		for d.Delivered = 1; d.Delivered <= 16; d.Delivered++ {
			l.worker.Handle(l.ctx, d)
		}
		if rec := w.record(id); rec.State != job.Held {
			t.Errorf("the job is %q", rec.State)
		}
		w.has(t, weekly, 0, 2)
		err := w.bus.Dead(t.Context(), time.Time{}, false, func(_ time.Time, body []byte) error {
			t.Errorf("given up: %s", body)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
