package connector_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector"
	"pullprint/connector/store"
	"pullprint/trigger/graph/graphtest"
)

// bridge is who hears notices, while there is somebody.
type bridge struct {
	listens bool
	heard   []string
}

func (b *bridge) Notify(_ context.Context, msgID string, _ []byte) error {
	if !b.listens {
		return store.ErrUnheard
	}
	b.heard = append(b.heard, msgID)
	return nil
}

// An owner is warned, counted and remembered as warned once a notice was heard, and
// not before: a bridge that comes back hears of all whose hold ends soon.
func TestWarnedIsHeard(t *testing.T) {
	quiet(t, func(w *world) {
		reg, b := prometheus.NewRegistry(), &bridge{}
		core, logs := observer.New(zap.InfoLevel)
		l := w.live("", shortHold, func(d *connector.Deps) {
			d.Registerer, d.Logger, d.Notices = reg, zap.New(core), b
		})
		var ids []graphtest.JobID
		for range 3 {
			id, d := w.print(graphtest.JobSpec{Printer: pullID})
			l.worker.Handle(l.ctx, d)
			ids = append(ids, id)
		}
		warned := func(what string, want int) {
			w.t.Helper()
			remembered := 0
			for _, id := range ids {
				if !w.record(id).Warned.IsZero() {
					remembered++
				}
			}
			counted, err := testutil.GatherAndCount(reg, "pullprint_expiry_warnings_total")
			if err != nil || counted == 0 {
				w.t.Fatal(counted, err)
			}
			logged := logs.FilterMessageSnippet("owner warned").Len()
			if len(b.heard) != want || remembered != want || logged != want {
				w.t.Errorf("%s: %d heard, %d remembered, %d logged, want %d", what, len(b.heard), remembered, logged, want)
			}
		}
		time.Sleep(time.Until(w.record(ids[0]).HoldUntil) - 10*time.Minute) // virtual
		for range 3 {
			l.sweep(w.t)
		}
		warned("nobody listens", 0)
		if n := logs.FilterMessageSnippet("nobody listens").Len(); n != 1 {
			w.t.Errorf("said %d times", n)
		}
		if err := w.sim.CancelJob(ids[2]); err != nil {
			w.t.Fatal(err)
		}
		for range 2 {
			l.sweep(w.t)
		}
		if s := string(w.record(ids[2]).State); s != "gone" {
			w.t.Errorf("a job that was canceled while nobody listened is %s", s)
		}
		b.listens = true
		for range 2 { // the first tries with one of them
			l.sweep(w.t)
		}
		warned("a bridge listens", 2)
		l.sweep(w.t)
		warned("once only", 2)
		if got := strings.Join(b.heard, " "); strings.Count(got, ":expiry") != 2 {
			w.t.Error(got)
		}
	})
}
