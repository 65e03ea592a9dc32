package connector_test

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// blank is a Graph that knows nothing of jobs and tasks for a while, after it lost an
// effect, which may have been made.
type blank struct {
	w    *world
	made bool // the effect was made, and its answer lost
	// status is the answer to the effect; 0 is 504.
	status int
	lost   atomic.Bool
	over   atomic.Bool
}

func (b *blank) RoundTrip(r *http.Request) (*http.Response, error) {
	path := r.URL.Path
	switch {
	case b.over.Load():
	case isEffect(r) && b.lost.CompareAndSwap(false, true):
		if b.made {
			if res, err := b.w.sim.Transport().RoundTrip(r); err == nil {
				_ = res.Body.Close()
			}
		}
		return answer(r, cmp.Or(b.status, http.StatusGatewayTimeout), []byte(`{}`)), nil
	case b.lost.Load() && r.Method == http.MethodGet && (strings.Contains(path, "/jobs") || strings.Contains(path, "/tasks/")):
		return answer(r, http.StatusNotFound, []byte(`{"error":{"code":"itemNotFound"}}`)), nil
	}
	return b.w.sim.Transport().RoundTrip(r)
}

// What Graph said nothing of for so long that it counted as printed, and shows waiting
// later, did not print: it is given back, and its owner gets it.
func TestPresumedPrintedComesBack(t *testing.T) {
	racetest.Skip(t, "one queue after the other")
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

// An abort whose answer was lost, of a job that Graph does not know at the look after it,
// was made or was not: either way the audit has the decision, and the job is aborted once.
func TestAbortOfAJobUnknownForAMoment(t *testing.T) {
	for name, made := range map[string]bool{"made": true, "not made": false} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				b := &blank{w: w, made: made}
				id, d := w.print(graphtest.JobSpec{Printer: directID, Copies: 60})
				l := w.live("", func(d *connector.Deps) { d.Graph = answered{w.client(b)} })
				l.worker.Handle(l.ctx, d)
				b.over.Store(true)
				for range 3 {
					time.Sleep(2 * time.Minute)
					_ = l.sweeper.Sweep(l.ctx)
					w.drain(l)
				}
				w.aborted(id)
			})
		})
	}
}

// An effect that Graph made and answered with a refusal, of a job that it does not know at
// the look after it, was made: it is paid for, and in the audit.
func TestRefusedThoughMadeAndUnknown(t *testing.T) {
	for _, queue := range []string{pullID, directID} {
		t.Run(queue[:4], func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				b := &blank{w: w, made: true, status: http.StatusForbidden}
				id, d := w.print(graphtest.JobSpec{Printer: queue, Pages: 7})
				l := w.live("", withPolicy(t, weekly), func(d *connector.Deps) { d.Graph = answered{w.client(b)} })
				l.worker.Handle(l.ctx, d)
				if queue == pullID {
					_, _ = l.release.Release(l.ctx, order())
				}
				b.over.Store(true)
				for range 5 {
					time.Sleep(time.Minute)
					_ = l.sweeper.Sweep(l.ctx)
					w.drain(l)
				}
				w.has(t, weekly, 7, 0)
				if n := w.sim.Prints(id); n != 1 {
					t.Errorf("printed %d times: %+v", n, w.record(id).Trail)
				}
				letGo := func(d decision.Decision) bool { return d.Verdict == "complete" || d.Verdict == "redirect" }
				if list := w.audit(t); !slices.ContainsFunc(list, letGo) {
					t.Errorf("the audit has %+v", list)
				}
			})
		})
	}
}

// When Graph knows nothing of such a job for long, it counts as aborted; if it shows the
// job waiting after all, it is aborted then.
func TestPresumedAbortedComesBack(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		b := &blank{w: w}
		id, d := w.print(graphtest.JobSpec{Printer: directID, Copies: 60})
		l := w.live("", func(d *connector.Deps) { d.Graph = answered{w.client(b)} })
		l.worker.Handle(l.ctx, d)
		sweeps := func(n int) {
			for range n {
				time.Sleep(time.Minute)
				_ = l.sweeper.Sweep(l.ctx)
				w.drain(l)
			}
		}
		sweeps(15)
		if rec := w.record(id); rec.State != job.Aborted || !rec.Decision.Answer.Presumed {
			t.Errorf("after a while it is %s, %+v", rec.State, rec.Decision.Answer)
		}
		b.over.Store(true)
		sweeps(5)
		w.aborted(id)
	})
}

// aborted asks that a job was aborted once, for a reason, and that the audit tells it.
func (w *world) aborted(id graphtest.JobID) {
	w.t.Helper()
	j, _ := w.sim.Job(id)
	if j.State != "aborted" || j.Reason == "" || j.Effects.Applied() != 1 {
		w.t.Errorf("the job is %s, reason %q, effects %+v", j.State, j.Reason, j.Effects)
	}
	if rec := w.record(id); rec.State != job.Aborted {
		w.t.Errorf("the record is %s: %+v", rec.State, rec.Trail)
	}
	var verdicts []string
	if err := w.bus.Decisions(w.t.Context(), time.Time{}, false, func(_ time.Time, body []byte) error {
		var d decision.Decision
		err := json.Unmarshal(body, &d)
		verdicts = append(verdicts, d.Verdict)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	if !slices.Contains(verdicts, "abort") {
		w.t.Errorf("decisions %q in the audit", verdicts)
	}
}

// drain has what is in the stream handled.
func (w *world) drain(l *life) {
	ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
	defer cancel()
	_ = w.bus.Consume(ctx, 8, l.worker.Handle)
}
