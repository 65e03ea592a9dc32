package connector_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pullprint/connector"
	"pullprint/connector/store"
	"pullprint/trigger/graph/graphtest"
)

// bridge is the stream of notices, while it can be written; nobody listens on the old subject.
type bridge struct {
	mu    sync.Mutex // jobs are worked on side by side
	fails bool
	heard []string
}

func (b *bridge) PublishNotice(_ context.Context, _, msgID string, _ []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails {
		return errors.New("the store does not answer")
	}
	b.heard = append(b.heard, msgID)
	return nil
}

func (b *bridge) Notify(context.Context, string, []byte) error { return store.ErrUnheard }

// An owner is warned, counted and remembered as warned once a notice is stored, and not before.
func TestWarnedIsStored(t *testing.T) {
	quiet(t, func(w *world) {
		reg, b := prometheus.NewRegistry(), &bridge{fails: true}
		l := w.live("", shortHold, func(d *connector.Deps) { d.Registerer, d.Notices = reg, b })
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
			if len(b.heard) != want || remembered != want {
				w.t.Errorf("%s: %d stored, %d remembered, want %d", what, len(b.heard), remembered, want)
			}
		}
		time.Sleep(time.Until(w.record(ids[0]).HoldUntil) - 10*time.Minute) // virtual
		for range 3 {
			l.sweep(w.t)
		}
		warned("the stream can't be written", 0)
		b.fails = false
		l.sweep(w.t)
		warned("it can again", 3)
		l.sweep(w.t)
		warned("once only", 3)
		if got := strings.Join(b.heard, " "); strings.Count(got, ":expiry:hold.ending") != 3 {
			w.t.Error(got)
		}
	})
}
