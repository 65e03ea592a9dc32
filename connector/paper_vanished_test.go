package connector_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job/paper"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// withoutPrinter is a Graph that does not know a printer any more once it is gone, nor its jobs if they are
// gone, too.
type withoutPrinter struct {
	connector.Graph
	gone *bool
	jobs bool
}

func (g withoutPrinter) Printer(ctx context.Context, id string) (graph.Printer, error) {
	if id == westID && *g.gone {
		return graph.Printer{}, &graph.Error{Status: http.StatusNotFound}
	}
	return g.Graph.Printer(ctx, id)
}

func (g withoutPrinter) Job(ctx context.Context, ref graph.Ref) (graph.Job, error) {
	if ref.Printer == westID && *g.gone && g.jobs {
		return graph.Job{}, &graph.Error{Status: http.StatusNotFound}
	}
	return g.Graph.Job(ctx, ref)
}

// A printer is taken out of Universal Print after a release. If its jobs are gone with it, they may have
// printed: they are paid, and unknown in the record and the metric alike, and nobody is told of a failure. A
// job that is seen aborted has failed, and is given back.
func TestPrinterVanishes(t *testing.T) {
	racetest.Skip(t, "two jobs, as in TestFailedAtThePrinter")
	for name, c := range map[string]struct {
		jobs        bool
		state       paper.State
		spent, told int
	}{
		"its jobs, too": {true, paper.Unknown, 8, 0}, "its jobs are aborted": {false, paper.Failed, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := graphtest.Calm()
				k.PrintTime = time.Hour
				w, reg, told, gone := newWorld(t, bustest.Open(t), k), prometheus.NewRegistry(), new(notices), false
				l := w.live("", withPolicy(t, "refunds: {aborted: 1}\n"+weekly), withMetrics(reg), func(d *connector.Deps) {
					d.Notices, d.Graph = told, withoutPrinter{d.Graph, &gone, c.jobs}
				})
				id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 8})
				l.worker.Handle(l.ctx, d)
				out, err := l.release.Release(l.ctx, order())
				if err != nil || len(out.Released) != 1 {
					t.Fatalf("%+v, %v", out, err)
				}
				if gone = true; !c.jobs {
					if err := w.sim.FailJob(graphtest.JobID{Printer: westID, Job: out.Released[0].DestinationJob}); err != nil {
						t.Fatal(err)
					}
				}
				for range 10 {
					l.sweep(t)
					time.Sleep(time.Minute)
				}
				rec := w.record(id)
				if rec.Paper.State != c.state || len(paperSteps(rec)) != 1 || len(told.bodies) != c.told {
					t.Errorf("%+v, %+v, told %+v", rec.Paper, rec.Trail, told.bodies)
				}
				if printedCount(t, reg, "hq-2-west", string(c.state)) != 1 {
					t.Errorf("not counted once as %s", c.state)
				}
				w.has(t, weekly, c.spent, 0)
			})
		})
	}
}
