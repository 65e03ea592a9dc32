package connector_test

import (
	"context"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/job"
	"pullprint/trigger/graph/graphtest"
)

// rival is a store of records in which another changes each record before we do, so often.
type rival struct {
	job.KV
	tries *int
	wins  int
}

func (k rival) CompareAndSet(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, bool, error) {
	if *k.tries++; *k.tries <= k.wins {
		old, rev, err := k.Get(ctx, key)
		if err == nil {
			_, _, err = k.KV.CompareAndSet(ctx, key, old, rev, ttl)
		}
		if err != nil {
			return 0, false, err
		}
	}
	return k.KV.CompareAndSet(ctx, key, value, revision, ttl)
}

// A decision that another outruns again and again is left to a later delivery; one that is
// outrun a few times is made.
func TestOutrunDecision(t *testing.T) {
	for _, c := range []struct {
		wins, most int
		state      job.State
	}{{3, 6, job.Completed}, {200, 8, job.Held}} {
		quiet(t, func(w *world) {
			id := func() graphtest.JobID {
				id, d := w.print(graphtest.JobSpec{Printer: directID})
				l := w.live("", withPolicy(w.t, failing))
				defer l.end()
				l.worker.Handle(l.ctx, d)
				return id
			}()
			if s := w.record(id).State; s != job.Held {
				w.t.Fatalf("the job is %s", s)
			}
			tries := 0
			l := w.live("", func(d *connector.Deps) {
				d.Jobs = job.NewStore(rival{w.bus.Jobs(), &tries, c.wins}, job.DefaultRetention)
			})
			l.worker.Handle(l.ctx, w.delivery(id))
			if s := w.record(id).State; s != c.state || tries > c.most {
				w.t.Errorf("%d wins of another: the job is %s after %d tries", c.wins, s, tries)
			}
		})
	}
}
