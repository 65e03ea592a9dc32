package connector_test

import (
	"context"
	"fmt"
	"testing"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/store"
	"pullprint/trigger/graph/graphtest"
)

// mute is a store that does not answer where decisions go, as one without a
// majority of its servers.
type mute struct {
	connector.FullAudit
	silent bool
}

func (m *mute) PublishDecision(ctx context.Context, verdict, msgID string, body []byte) error {
	if m.silent {
		return fmt.Errorf("store: %w", store.ErrUnavailable)
	}
	return m.FullAudit.PublishDecision(ctx, verdict, msgID, body)
}

// However often the store does not answer, no job is given up for it.
func TestStoreAway(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		w := newWorld(t, b, graphtest.Calm())
		m := &mute{FullAudit: b, silent: true}
		l := w.live("", func(d *connector.Deps) { d.Audit = m })
		id, d := w.print(graphtest.JobSpec{Printer: directID})
		for d.Delivered = 1; d.Delivered < 30; d.Delivered++ {
			if l.worker.Handle(l.ctx, d) == store.Done() {
				t.Fatalf("let go at delivery %d", d.Delivered)
			}
		}
		m.silent = false
		if l.worker.Handle(l.ctx, d) != store.Done() {
			t.Error("it comes again although the store answers")
		}
		if job, _ := w.sim.Job(id); job.Effects.Applied() != 1 || job.Effects.FinishRefused > 0 {
			t.Errorf("%+v", job.Effects)
		}
	})
}
