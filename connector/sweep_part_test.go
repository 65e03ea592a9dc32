package connector_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

var errPage = errors.New("that page can't be read")

// brokenList is a Graph that fails when the list of tasks is read.
type brokenList struct {
	connector.Graph
	broken *bool
}

func (g brokenList) Tasks(ctx context.Context, definition string) iter.Seq2[graph.Task, error] {
	if !*g.broken {
		return g.Graph.Tasks(ctx, definition)
	}
	_, _ = g.Printer(ctx, westID) // an answer that is an error tells Graph's time, too
	return func(yield func(graph.Task, error) bool) { yield(graph.Task{}, errPage) }
}

// A list of tasks that can't be read keeps none of the rest from being done: intents are
// resumed, owners warned, holds ended and reservations settled. What only the list tells is
// left alone, and the sweep fails.
func TestSweepWithoutTheList(t *testing.T) {
	quiet(t, func(w *world) {
		broken := true
		b := &bridge{}
		change := []func(*connector.Deps){withPolicy(w.t, weekly), shortHold, func(d *connector.Deps) {
			d.Graph, d.Notices = brokenList{d.Graph, &broken}, b
		}}
		ends := w.hold(change...)
		time.Sleep(30 * time.Minute) // virtual
		paid, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 4})
		l := w.live("", change...)
		l.worker.Handle(l.ctx, d)
		o := order()
		o.Jobs = []graph.Ref{graph.Ref(paid)}
		if out, err := l.release.Release(l.ctx, o); err != nil || len(out.Released) != 1 {
			w.t.Fatalf("%+v, %v", out, err)
		}
		l.end()
		halfway := w.hold(change...)
		l = w.live("after intent", change...)
		_, _ = l.release.Cancel(l.ctx, release.Cancellation{Key: w.recordKey(halfway)})
		l.end()
		warned := w.hold(change...)
		time.Sleep(time.Until(w.record(warned).HoldUntil) - 10*time.Minute)
		l = w.live("", change...)
		if err := l.sweeper.Sweep(l.ctx); !errors.Is(err, errPage) {
			w.t.Errorf("the sweep failed with %v", err)
		}
		for what, id := range map[string]graphtest.JobID{"the end of the hold": ends, "the intent": halfway} {
			if s := w.record(id).State; s != job.Aborted {
				w.t.Errorf("%s: the job is %s", what, s)
			}
		}
		if w.record(warned).State != job.Held || w.record(warned).Warned.IsZero() {
			w.t.Errorf("not warned, heard %q", b.heard)
		}
		w.has(w.t, weekly, 4, 0)
		if at := l.sweeper.LastSuccess(); !at.IsZero() {
			w.t.Errorf("counts as a success at %s", at)
		}
	})
}
