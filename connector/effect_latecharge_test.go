package connector_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

// claiming is a Graph that says at one read that a job was redirected.
type claiming struct {
	connector.Graph
	job   string
	wrong atomic.Bool
}

func (g *claiming) Job(ctx context.Context, ref graph.Ref) (graph.Job, error) {
	job, err := g.Graph.Job(ctx, ref)
	if ref.Job == g.job && g.wrong.Swap(false) {
		job.RedirectedTo = "https://graph.microsoft.com/v1.0/print/printers/" + westID + "/jobs/9999"
	}
	return job, err
}

// A redirect of one copy that is found late, and contradicted when it is looked at again, does
// not take the place of what all copies reserved when the job came.
func TestArrivalStaysPaidWhenLateRedirectIsContradicted(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		p := &passage{
			t: t, w: newWorld(t, bustest.Open(t), graphtest.Calm()), src: weekly,
			spec: graphtest.JobSpec{Printer: pullID, Pages: 2, Copies: 8},
		}
		p.early().late(-1).arrive()
		o := order()
		o.Set.Copies = 1
		_, _ = p.l.release.Release(p.l.ctx, o)
		p.wait(60)
		p.deliver()
		if rec := p.w.record(p.id); rec.State != job.Held {
			t.Fatalf("the job is %s", rec.State)
		}
		p.wire = nil
		var lie *claiming
		p.start("", func(d *connector.Deps) {
			lie = &claiming{Graph: d.Graph, job: p.id.Job}
			d.Graph = lie
		})
		lie.wrong.Store(true)
		p.tap()
		rec := p.w.record(p.id)
		if c := rec.Charge; rec.State != job.Held || c == nil || c.Before == nil || c.Before.Amount != 16*quota.Unit {
			t.Errorf("the job is %s, its charge is %+v", rec.State, c)
		}
		refuseRedirects(p.w, 1)
		time.Sleep(time.Minute)
		p.tap() // all copies, and Graph refuses
		if rec := p.w.record(p.id); rec.State != job.Held || rec.Charge == nil || rec.Charge.Amount != 16*quota.Unit {
			t.Errorf("the job is %s, its charge is %+v", rec.State, rec.Charge)
		}
		p.w.has(t, weekly, 0, 16)
	})
}
