package connector_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

// listedKV calls after when records were listed, before whoever listed them gets the list.
type listedKV struct {
	job.KV
	after func()
}

func (k listedKV) Each(
	ctx context.Context, filter string, fn func(key string, value []byte, revision uint64) error,
) error {
	err := k.KV.Each(ctx, filter, fn)
	k.after()
	return err
}

// A person taps at the west device, and then at the east one while the first order is
// refused by Graph. By the time the second order comes to the job, what it has listed is
// outdated: nothing is sent to where the person has left.
func TestOutdatedIntentIsNotResumed(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	id := w.hold()
	listed, ended := make(chan struct{}), make(chan struct{})
	called := make(chan struct{})
	var west atomic.Bool
	w.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(op string, _ graphtest.Request) graphtest.Fault {
			if op != graphtest.OpJobRedirect || west.Swap(true) {
				return graphtest.Fault{}
			}
			close(called)
			return graphtest.Fault{Refuse: http.StatusBadRequest, Hold: listed}
		}
	})
	first := true // the lists come one after the other
	l := w.live("", func(d *connector.Deps) {
		d.Jobs = job.NewStore(listedKV{w.bus.Jobs(), func() {
			if first {
				first = false
				return
			}
			select {
			case <-listed:
			default:
				close(listed)
			}
			<-ended
		}}, job.DefaultRetention)
	})
	go func() {
		defer close(ended)
		if out, err := l.release.Release(l.ctx, order()); err != nil || len(out.Kept) != 1 {
			t.Errorf("west: %+v, %v", out, err)
		}
	}()
	<-called
	o := release.Order{Device: "hq-2-east", Owner: studentID, At: time.Now()}
	out, err := l.release.Release(l.ctx, o)
	if err != nil || len(out.Released) != 1 || out.Released[0].Destination != eastID {
		t.Errorf("east: %+v, %v", out, err)
	}
	if job, _ := w.sim.Job(id); job.RedirectedTo.Printer != eastID {
		t.Errorf("redirected to %+v", job.RedirectedTo)
	}
}

// A task is delivered twice, and the pages are counted for the one for long: meanwhile the
// other had the job held, and its owner has released it for less. What is reserved stays
// what that costs.
func TestOutdatedArrivalReservesNothing(t *testing.T) {
	const early = "reserve: arrival\n" + weekly
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	counting, released := make(chan struct{}), make(chan struct{})
	var counted atomic.Bool
	l := w.live("", withPolicy(t, early), func(d *connector.Deps) {
		count := d.Pages
		d.Pages = func(ctx context.Context, job graph.Ref, doc graph.Document) (int, error) {
			if !counted.Swap(true) {
				close(counting)
				<-released
			}
			return count(ctx, job, doc)
		}
	})
	id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 2, Color: true, ContentType: "application/pdf"})
	ended := make(chan struct{})
	go func() { defer close(ended); l.worker.Handle(l.ctx, d) }()
	<-counting
	l.worker.Handle(l.ctx, d)
	w.has(t, early, 0, 10)
	o := order()
	o.Set = policy.Settings{ColorMode: "blackAndWhite"}
	if out, err := l.release.Release(l.ctx, o); err != nil || len(out.Released) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	w.has(t, early, 0, 2)
	close(released)
	<-ended
	w.has(t, early, 0, 2)
	l.sweep(t)
	w.has(t, early, 2, 0)
	if rec := w.record(id); rec.State != job.Released || rec.Charge.Amount != 2*quota.Unit {
		t.Errorf("%s, %+v", rec.State, rec.Charge)
	}
}
