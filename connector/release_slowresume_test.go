package connector_test

import (
	"context"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/release"
	"pullprint/trigger/graph"
)

// slowReads is a Graph that takes its time to show a job.
type slowReads struct{ connector.Graph }

func (g slowReads) Job(ctx context.Context, ref graph.Ref) (graph.Job, error) {
	time.Sleep(release.AwaitOther + time.Second) // virtual
	return g.Graph.Job(ctx, ref)
}

// An order that finishes what a dead process began tells of its outcome, however long that took.
func TestOrderThatResumesSlowly(t *testing.T) {
	for range 8 { // what is ready at once is chosen at random
		quiet(t, func(w *world) {
			id := w.hold()
			dead := w.live("after intent")
			_, _ = dead.release.Release(dead.ctx, order())
			dead.end()
			l := w.live("", func(d *connector.Deps) { d.Graph = slowReads{d.Graph} })
			out, err := l.release.Release(l.ctx, order())
			if err != nil || len(out.Kept) > 0 {
				w.t.Errorf("job %s: %+v, %v", id.Job, out, err)
			}
		})
	}
}
