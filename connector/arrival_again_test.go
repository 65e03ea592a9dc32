package connector_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/arrival"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/store"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// refuse answers a kind of call about some jobs with a status, while it is told to.
func (w *world) refuse(status int, about func(op string, r graphtest.Request) bool) {
	w.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(op string, r graphtest.Request) graphtest.Fault {
			if about(op, r) {
				return graphtest.Fault{Refuse: status}
			}
			return graphtest.Fault{}
		}
	})
}

// works runs workers and sweeps as the program does, for the rest of the test.
func (l *life) works(t *testing.T, minutes int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = l.bus.Consume(ctx, 4, l.worker.Handle) }()
	for range minutes {
		l.sweep(t)
		time.Sleep(time.Minute)
	}
	cancel()
	<-done
}

// A job that Graph does not know at first is held soon after it does; so it is beside
// one for which Graph always fails.
func TestJobThatGraphDoesNotKnowYet(t *testing.T) {
	for name, sick := range map[string]bool{"alone": false, "beside a sick one": true} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				l := w.live("")
				var bad graphtest.JobID
				if sick {
					bad, _ = w.print(graphtest.JobSpec{Printer: pullID})
				}
				var late []graphtest.JobID
				for range 6 {
					id, _ := w.print(graphtest.JobSpec{Printer: pullID})
					late = append(late, id)
				}
				start := time.Now()
				w.sim.Change(func(k *graphtest.Knobs) {
					k.Intercept = func(op string, r graphtest.Request) graphtest.Fault {
						switch {
						case op != graphtest.OpJobGet:
						case r.Job == bad.Job:
							return graphtest.Fault{Refuse: http.StatusInternalServerError}
						case time.Since(start) < 65*time.Second:
							return graphtest.Fault{Refuse: http.StatusNotFound}
						}
						return graphtest.Fault{}
					}
				})
				l.works(t, 3)
				for _, id := range late {
					if s := w.record(id).State; s != job.Held {
						t.Errorf("job %s is %q after three minutes", id.Job, s)
					}
				}
			})
		})
	}
}

// What was given up comes back with the next sweeps while others are worked on, and a
// job of which Graph has lost all but the task costs little.
func TestGivenUpComesBack(t *testing.T) {
	racetest.Skip(t, "one delivery after the other")
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		l := w.live("")
		sick, _ := w.print(graphtest.JobSpec{Printer: pullID})
		mended, _ := w.print(graphtest.JobSpec{Printer: pullID})
		lost, _ := w.print(graphtest.JobSpec{Printer: pullID})
		if err := w.sim.DeleteJob(lost); err != nil {
			t.Fatal(err)
		}
		var healthy atomic.Bool
		var reads atomic.Int64
		w.sim.Change(func(k *graphtest.Knobs) {
			k.Intercept = func(op string, r graphtest.Request) graphtest.Fault {
				switch {
				case op != graphtest.OpJobGet:
				case r.Job == lost.Job:
					reads.Add(1)
				case r.Job == sick.Job, r.Job == mended.Job && !healthy.Load():
					return graphtest.Fault{Refuse: http.StatusInternalServerError}
				}
				return graphtest.Fault{}
			}
		})
		l.works(t, 15)
		if !slices.ContainsFunc(w.dead(), func(d arrival.DeadLetter) bool { return d.Job == mended.Job && d.Reason == "attempts" }) {
			t.Fatalf("not given up: %+v", w.dead())
		}
		healthy.Store(true)
		l.works(t, 8)
		if s := w.record(mended).State; s != job.Held {
			t.Errorf("job is %q, eight minutes after Graph answers again", s)
		}
		before := reads.Load()
		l.works(t, 10)
		if n := reads.Load() - before; n > 120 {
			t.Errorf("%d reads in ten minutes of a job that is lost", n)
		}
	})
}

// One 404 is no proof, wherever it comes: the job stays held, or comes back while
// Graph lists its task.
func TestWrong404(t *testing.T) {
	racetest.Skip(t, "one answer of Graph after the other")
	for name, c := range map[string]struct {
		times int
		act   func(t *testing.T, l *life)
	}{
		"at the tap":   {1, func(t *testing.T, l *life) { _, _ = l.release.Release(l.ctx, order()) }},
		"in the sweep": {1, func(t *testing.T, l *life) { l.sweep(t) }},
		"many at the tap": {8, func(t *testing.T, l *life) {
			_, _ = l.release.Release(l.ctx, order())
		}},
		"many in the sweep": {8, func(t *testing.T, l *life) { l.sweep(t) }},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				id := w.hold()
				var lies atomic.Int64
				w.refuse(http.StatusNotFound, func(op string, r graphtest.Request) bool {
					return op == graphtest.OpJobGet && r.Job == id.Job && lies.Add(1) <= int64(c.times)
				})
				l := w.live("")
				c.act(t, l)
				l.works(t, 5)
				if s := w.record(id).State; s != job.Held && s != job.Released {
					t.Errorf("the job is %s", s)
				}
				out, err := l.release.Release(l.ctx, order())
				if s := w.record(id).State; s != job.Released {
					t.Errorf("the job is %s after a tap: %+v %v", s, out, err)
				}
				if n := w.sim.Prints(id); n > 1 {
					t.Errorf("printed %d times", n)
				}
			})
		})
	}
}

// A job that is over for certain does not come back, although Graph goes on to list
// its task as waiting.
func TestFinishedJobsStayFinished(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Calm()
		k.AbortEndsTask = 0
		w := newWorld(t, bustest.Open(t), k)
		id := w.hold()
		if err := w.sim.CancelJob(id); err != nil {
			t.Fatal(err)
		}
		l := w.live("")
		l.works(t, 5)
		if s := w.record(id).State; s != job.Gone {
			t.Errorf("job is %s", s)
		}
		if n := len(w.dead()); n > 0 {
			t.Errorf("%d dead letters", n)
		}
		if job, _ := w.sim.Job(id); job.Task.State != "aborted" {
			t.Errorf("its task is %s for ever", job.Task.State)
		}
	})
}

// A queue that held jobs and now is direct lets them print.
func TestQueueBecomesDirect(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		id := w.hold()
		l := w.live("", func(d *connector.Deps) {
			d.Queues = []printer.Queue{{PrinterID: pullID, Name: "Follow-Me", Mode: "direct", HoldFor: 24 * time.Hour}}
		})
		l.works(t, 3)
		if rec := w.record(id); rec.State != job.Completed || w.sim.Prints(id) != 1 {
			t.Errorf("job is %s, printed %d times", rec.State, w.sim.Prints(id))
		}
	})
}

// A queue whose name changes keeps its held jobs: they are released under the new
// one, and the warning names the devices of the new one.
func TestQueueIsRenamed(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		w.hold(shortHold)
		var notices []string
		l := w.live("", func(d *connector.Deps) {
			d.Queues = []printer.Queue{{PrinterID: pullID, Name: "Everywhere", Mode: "pull", HoldFor: time.Hour}}
			d.Devices = slices.Clone(devices)
			for i := range d.Devices {
				d.Devices[i].Queues = []string{"Everywhere"}
			}
			d.Notices = heard{&notices}
		})
		time.Sleep(46 * time.Minute) // the last quarter has begun
		l.sweep(t)
		if len(notices) != 1 || !strings.Contains(notices[0], `"queue":"Everywhere"`) || !strings.Contains(notices[0], "hq-2-west") {
			t.Errorf("notices %q", notices)
		}
	})
}

// Jobs of a queue that was taken out of the configuration end with their hold, after a
// warning, with a reason.
func TestQueueIsRemoved(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		id := w.hold(shortHold)
		var notices []string
		l := w.live("", func(d *connector.Deps) { d.Queues, d.Notices = queues[1:], heard{&notices} })
		time.Sleep(46 * time.Minute) // the last quarter has begun
		l.sweep(t)
		if len(notices) != 1 {
			t.Errorf("notices %q", notices)
		}
		time.Sleep(15 * time.Minute)
		l.sweep(t)
		if rec := w.record(id); rec.State != job.Aborted || rec.Decision.Remedy == "" {
			t.Errorf("job is %s: %+v", rec.State, rec.Decision)
		}
	})
}

// heard keeps the notices.
type heard struct{ list *[]string }

func (h heard) PublishNotice(_ context.Context, _, _ string, body []byte) error {
	*h.list = append(*h.list, string(body))
	return nil
}

func (heard) Notify(context.Context, string, []byte) error { return nil }

// However often an outage had a task delivered, its first failure is one failure.
func TestDeliveriesAreNoFailures(t *testing.T) {
	quiet(t, func(w *world) {
		l := w.live("")
		id, d := w.print(graphtest.JobSpec{Printer: directID})
		bad := true
		w.refuse(http.StatusInternalServerError, func(_ string, r graphtest.Request) bool { return bad && r.Job == id.Job })
		d.Delivered = 500
		if l.worker.Handle(w.t.Context(), d) == store.Done() {
			w.t.Fatal("given up at its first failure")
		}
		bad = false
		rival := w.live("after intent", func(d *connector.Deps) { d.Sole = false })
		rival.worker.Handle(rival.ctx, d)
		second := w.live("", func(d *connector.Deps) { d.Sole, d.Inflight = false, nil })
		if second.worker.Handle(w.t.Context(), d) == store.Done() {
			w.t.Error("given up because another has it")
		}
		if n := len(w.dead()); n != 0 {
			w.t.Errorf("%d dead letters", n)
		}
	})
}

// Who is asked to come in half a minute comes in half a minute, and that is no failure,
// however often.
func TestRetryAfterIsKeptByTasks(t *testing.T) {
	racetest.Skip(t, "one delivery after the other")
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		l := w.live("")
		var ids []graphtest.JobID
		for range 20 {
			id, _ := w.print(graphtest.JobSpec{Printer: pullID})
			ids = append(ids, id)
		}
		start := time.Now()
		var calls atomic.Int64
		w.sim.Change(func(k *graphtest.Knobs) {
			k.Intercept = func(op string, _ graphtest.Request) graphtest.Fault {
				if op == graphtest.OpJobGet && time.Since(start) < 8*time.Minute {
					calls.Add(1)
					return graphtest.Fault{Refuse: http.StatusTooManyRequests, RetryAfter: "30"}
				}
				return graphtest.Fault{}
			}
		})
		l.works(t, 10)
		if n := calls.Load(); n > 20*16 {
			t.Errorf("%d calls for 20 jobs while Graph asked for patience", n)
		}
		for _, id := range ids {
			if s := w.record(id).State; s != job.Held {
				t.Errorf("job %s is %q", id.Job, s)
			}
		}
		if n := len(w.dead()); n != 0 {
			t.Errorf("%d dead letters", n)
		}
	})
}
