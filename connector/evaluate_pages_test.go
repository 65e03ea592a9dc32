package connector_test

import (
	"context"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/pages"
)

// broken is a reader at which the counting panics.
type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { panic("Quarterly figures.pdf") }

// A panic of the counting leaves the job as one whose pages are unknown; the log tells once
// where it happened, and nothing of it stands in the record.
func TestCountingPanics(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		core, logs := observer.New(zap.InfoLevel)
		id := w.hold(withPolicy(t, counting), func(d *connector.Deps) {
			d.Logger = zap.New(core)
			d.Pages = func(ctx context.Context, _ graph.Ref, doc graph.Document) (int, error) {
				return pages.Count(ctx, broken{}, 1000, doc.ContentType)
			}
		})
		rec := w.record(id)
		if rec.State != job.Held || rec.Pages == nil || !strings.Contains(rec.Pages.Unknown, "mistake in pullprint") ||
			strings.Contains(rec.Pages.Unknown, "\n") {
			t.Errorf("%q, pages %+v", rec.State, rec.Pages)
		}
		told := 0
		for _, e := range logs.All() {
			stack, _ := e.ContextMap()["stack"].(string)
			if strings.Contains(stack, "broken") {
				told++
			}
			if strings.Contains(e.Message+stack, "Quarterly") {
				t.Errorf("the log has what the panic said: %v", e)
			}
		}
		if told != 1 {
			t.Errorf("the log tells %d times where it happened", told)
		}
	})
}
