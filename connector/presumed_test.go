package connector_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// blank is a Graph that knows nothing of jobs and tasks for a while, after it lost an
// effect without making it.
type blank struct {
	w    *world
	lost atomic.Bool
	over atomic.Bool
}

func (b *blank) RoundTrip(r *http.Request) (*http.Response, error) {
	path := r.URL.Path
	switch {
	case b.over.Load():
	case isEffect(r) && b.lost.CompareAndSwap(false, true):
		return answer(r, http.StatusGatewayTimeout, []byte(`{}`)), nil
	case b.lost.Load() && r.Method == http.MethodGet && (strings.Contains(path, "/jobs") || strings.Contains(path, "/tasks/")):
		return answer(r, http.StatusNotFound, []byte(`{"error":{"code":"itemNotFound"}}`)), nil
	}
	return b.w.sim.Transport().RoundTrip(r)
}

// What Graph said nothing of for so long that it counted as printed, and shows waiting
// later, did not print: it is given back, and its owner gets it.
func TestPresumedPrintedComesBack(t *testing.T) {
	for _, queue := range []string{pullID, directID} {
		for _, src := range []string{weekly, "reserve: arrival\n" + weekly} {
			t.Run(queue[:4]+" "+src[:8], func(t *testing.T) {
				bustest.Virtual(t, func(t *testing.T) {
					w := newWorld(t, bustest.Open(t), graphtest.Calm())
					b := &blank{w: w}
					id, d := w.print(graphtest.JobSpec{Printer: queue, Pages: 7})
					l := w.live("", withPolicy(t, src), func(d *connector.Deps) { d.Graph = answered{w.client(b)} })
					l.worker.Handle(l.ctx, d)
					if queue == pullID {
						_, _ = l.release.Release(l.ctx, order())
					}
					sweeps := func(n int) {
						for range n {
							time.Sleep(time.Minute)
							_ = l.sweeper.Sweep(l.ctx)
							w.drain(l)
						}
					}
					sweeps(15)
					w.has(t, src, 7, 0)
					b.over.Store(true)
					sweeps(5)
					if queue == pullID {
						if out, err := l.release.Release(l.ctx, order()); err != nil || len(out.Released) != 1 {
							t.Errorf("%+v, %v", out, err)
						}
						sweeps(3)
					}
					if n := w.sim.Prints(id); n != 1 {
						t.Errorf("printed %d times: %s %+v", n, w.record(id).State, w.record(id).Trail)
					}
					w.has(t, src, 7, 0)
				})
			})
		}
	}
}

// drain has what is in the stream handled.
func (w *world) drain(l *life) {
	ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
	defer cancel()
	_ = w.bus.Consume(ctx, 8, l.worker.Handle)
}
