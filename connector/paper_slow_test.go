package connector_test

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job/paper"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

// slowList is a Graph that never ends a list of the jobs at one printer.
type slowList struct {
	connector.Graph
	printer string
}

func (g slowList) Jobs(ctx context.Context, printer string) iter.Seq2[graph.Job, error] {
	if printer != g.printer {
		return g.Graph.Jobs(ctx, printer)
	}
	return func(yield func(graph.Job, error) bool) {
		<-ctx.Done()
		yield(graph.Job{}, ctx.Err())
	}
}

// More jobs than a sweep looks at together are at a printer that takes all its time: those at another
// have their turn in the next sweep, whether somebody pays for them or not.
func TestSlowPrinterKeepsNoOther(t *testing.T) {
	for name, src := range map[string]string{"without budgets": testPolicy, "with budgets": weekly} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				l := w.live("", withPolicy(t, src), func(d *connector.Deps) { d.Graph = slowList{d.Graph, westID} })
				var jobs []graphtest.JobID
				for range 12 {
					id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 1})
					l.worker.Handle(l.ctx, d)
					jobs = append(jobs, id)
				}
				slices.SortFunc(jobs, func(a, b graphtest.JobID) int {
					return cmp.Compare(w.recordKey(a), w.recordKey(b))
				})
				for i, id := range jobs {
					o := order()
					if i == len(jobs)-1 {
						o.Device = "hq-2-east"
					}
					o.Jobs = []graph.Ref{graph.Ref(id)}
					if out, err := l.release.Release(l.ctx, o); err != nil || len(out.Released) != 1 {
						t.Fatalf("%+v, %v", out, err)
					}
				}
				time.Sleep(time.Minute) // virtual: they are printed, and the index follows
				for range 2 {
					_ = l.sweeper.Sweep(l.ctx)
					time.Sleep(time.Minute)
				}
				if p := w.record(jobs[len(jobs)-1]).Paper; p == nil || p.State != paper.Printed {
					t.Errorf("the job at the other printer is %+v", p)
				}
			})
		})
	}
}
