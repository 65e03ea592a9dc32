package connector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pullprint/connector"
	"pullprint/connector/arrival"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/inflight"
	"pullprint/connector/job"
	"pullprint/connector/store"
	"pullprint/policy"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// counting makes a policy that has pages counted when a job comes.
const counting = `

rules:
  - {name: long, at: arrival, when: 'has(job.pages) && job.pages > 1000', verdict: abort,
     reason: pages.too-many, text: 'Too long.', remedy: 'Print less.'}
`

// opens counts how often documents are opened, and kills the process at it when
// dies says so.
type opens struct {
	n    map[string]int // by job
	dies func(job string) bool
}

func (o *opens) in(l **life) func(*connector.Deps) {
	return func(d *connector.Deps) {
		d.Pages = func(_ context.Context, job graph.Ref, _ graph.Document) (int, error) {
			o.n[job.Job]++
			if o.dies(job.Job) {
				(*l).dead.Store(true)
				(*l).kill()
				return 0, errKilled
			}
			return 1, nil
		}
	}
}

// live is a process in which documents are opened.
func (o *opens) live(t *testing.T, w *world, change ...func(*connector.Deps)) *life {
	t.Helper()
	l := new(life)
	l = w.live("", append([]func(*connector.Deps){withPolicy(t, counting), o.in(&l)}, change...)...)
	return l
}

func (w *world) deadLetters(t testing.TB) (list []arrival.DeadLetter) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := w.bus.Dead(ctx, time.Time{}, false, func(_ time.Time, body []byte) error {
		var d arrival.DeadLetter
		err := json.Unmarshal(body, &d)
		list = append(list, d)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A document that kills the process is opened three times. Then its task is a dead
// letter before anything is done about it, the sweep leaves it alone, and what came
// with it is held.
func TestDocumentThatKillsTheProcess(t *testing.T) {
	racetest.Skip(t, "one life after the other")
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		bad, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3})
		good, other := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3})
		d.Sequence, other.Sequence = 1, 2
		o := &opens{n: map[string]int{}, dies: func(job string) bool { return job == bad.Job }}
		for range 3 {
			l := o.live(t, w)
			l.worker.Handle(l.ctx, d) // a killed store forgets the count of deliveries
			l.end()
		}
		l := o.live(t, w)
		if disp := l.worker.Handle(l.ctx, d); disp != store.Done() {
			t.Errorf("the task comes again: %+v", disp)
		}
		l.worker.Handle(l.ctx, other)
		if n := o.n[bad.Job]; n != 3 {
			t.Errorf("the document was opened %d times, want 3", n)
		}
		dead := w.deadLetters(t)
		if len(dead) != 1 || dead[0].Reason != "crash" || dead[0].Job != bad.Job {
			t.Errorf("dead letters %+v", dead)
		}
		if s := w.record(good).State; s != job.Held {
			t.Errorf("the other job is %q", s)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = w.bus.Consume(ctx, 4, l.worker.Handle) }()
		for range 3 {
			l.sweep(t)
			time.Sleep(time.Minute)
		}
		cancel()
		<-done
		for i := range 5000 { // other deaths
			if _, _, err := w.bus.Inflight().CompareAndSet(t.Context(), fmt.Sprint("other", i),
				[]byte(`{"crashes":1}`), 0, 7*24*time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		l.worker.Handle(l.ctx, d)
		if n := len(w.deadLetters(t)); n > 2 || o.n[bad.Job] != 3 {
			t.Errorf("after sweeps: %d dead letters, opened %d times", n, o.n[bad.Job])
		}
	})
}

// Whatever it is that the process dies at, three times is enough.
func TestTaskThatKillsTheProcess(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		_, d := w.print(graphtest.JobSpec{Printer: pullID})
		for range 3 {
			l := w.live("before intent")
			l.worker.Handle(l.ctx, d)
			l.end()
		}
		reg := prometheus.NewRegistry()
		l := w.live("", func(d *connector.Deps) { d.Registerer = reg })
		for d.Sequence = 1; d.Sequence <= 3; d.Sequence++ { // the sweeps put it into the stream again
			l.worker.Handle(l.ctx, d)
		}
		if dead := w.deadLetters(t); len(dead) != 1 || dead[0].Reason != "crash" {
			t.Errorf("dead letters %+v", dead)
		}
		want := `
			# HELP pullprint_dead_letters_total Tasks given up, by reason.
			# TYPE pullprint_dead_letters_total counter
			pullprint_dead_letters_total{reason="attempts"} 0
			pullprint_dead_letters_total{reason="conflict"} 0
			pullprint_dead_letters_total{reason="crash"} 1
			pullprint_dead_letters_total{reason="malformed"} 0
			pullprint_dead_letters_total{reason="panic"} 0
			`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "pullprint_dead_letters_total"); err != nil {
			t.Error(err)
		}
	})
}

// killedReading is a Graph at whose reads of a job the process is killed from outside.
type killedReading struct {
	connector.Graph
	kill func()
}

func (g killedReading) Job(context.Context, graph.Ref) (graph.Job, error) {
	g.kill()
	return graph.Job{}, errKilled
}

// A process that is killed again and again while a job waits for Graph did not die at
// that job.
func TestKilledWhileGraphIsWaitedFor(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		id, d := w.print(graphtest.JobSpec{Printer: pullID})
		for range 60 {
			var l *life
			l = w.live("", func(deps *connector.Deps) {
				deps.Graph = killedReading{deps.Graph, func() { l.dead.Store(true); l.kill() }}
			})
			l.worker.Handle(l.ctx, d)
			l.end()
		}
		l := w.live("")
		l.worker.Handle(l.ctx, d)
		if dead := w.deadLetters(t); len(dead) != 0 || w.record(id).State != job.Held {
			t.Errorf("the job is %q, dead letters %+v", w.record(id).State, dead)
		}
	})
}

// killedWriting is a store of records at whose slow writes the process is killed from
// outside.
type killedWriting struct {
	job.KV
	kill func()
}

func (k killedWriting) CompareAndSet(context.Context, string, []byte, uint64, time.Duration) (uint64, bool, error) {
	time.Sleep(time.Second)
	k.kill()
	return 0, false, errKilled
}

// Nor did one that is killed while a job waits for a slow disk.
func TestKilledWhileTheStoreIsWaitedFor(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		id, d := w.print(graphtest.JobSpec{Printer: pullID})
		for range 10 {
			var l *life
			l = w.live("", func(deps *connector.Deps) {
				deps.Jobs = job.NewStore(killedWriting{w.bus.Jobs(), func() { l.dead.Store(true); l.kill() }}, job.DefaultRetention)
			})
			l.worker.Handle(l.ctx, d)
			l.end()
		}
		l := w.live("")
		l.worker.Handle(l.ctx, d)
		if dead := w.deadLetters(t); len(dead) != 0 || w.record(id).State != job.Held {
			t.Errorf("the job is %q, dead letters %+v", w.record(id).State, dead)
		}
	})
}

// heldReading is a Graph whose first read of a job takes long.
type heldReading struct {
	connector.Graph
	first atomic.Bool
}

func (g *heldReading) Job(ctx context.Context, ref graph.Ref) (graph.Job, error) {
	if !g.first.Swap(true) {
		<-ctx.Done()
		return graph.Job{}, ctx.Err()
	}
	return g.Graph.Job(ctx, ref)
}

// A process that dies at a document did so, also while somebody else waits for Graph
// about the same job.
func TestKillsWhileAnotherWaits(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3})
		o := &opens{n: map[string]int{}, dies: func(string) bool { return true }}
		for i := range 6 {
			l := o.live(t, w, func(deps *connector.Deps) {
				if i >= 2 { // it is worked on alone by now
					deps.Graph = &heldReading{Graph: deps.Graph}
				}
			})
			ctx, cancel := context.WithCancel(l.ctx)
			waited := make(chan struct{})
			go func() { defer close(waited); l.worker.Handle(ctx, d) }()
			time.Sleep(time.Second)
			l.worker.Handle(l.ctx, d)
			cancel()
			<-waited
			l.end()
		}
		if dead := w.deadLetters(t); len(dead) == 0 || dead[0].Reason != "crash" || o.n[id.Job] > 3 {
			t.Errorf("opened %d times, dead letters %+v", o.n[id.Job], dead)
		}
	})
}

// Of many that were under way together each time the process died, only the one
// that it died at is given up.
func TestOnlyTheCrashingJobIsGivenUp(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		var all []store.Delivery
		var ids []graphtest.JobID
		for i := range 8 {
			id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3})
			d.Sequence = uint64(i + 1)
			all, ids = append(all, d), append(ids, id)
		}
		bad := ids[5]
		for range 6 {
			l := new(life)
			l = w.live("", withPolicy(t, counting), func(d *connector.Deps) {
				d.Pages = func(_ context.Context, job graph.Ref, _ graph.Document) (int, error) {
					time.Sleep(time.Second) // all are at it together, as far as they may
					if job.Job != bad.Job {
						time.Sleep(time.Second)
					} else {
						l.dead.Store(true)
						l.kill()
					}
					if l.dead.Load() {
						return 0, errKilled
					}
					return 1, nil
				}
			})
			done := make(chan struct{})
			for _, d := range all {
				go func() {
					defer func() { done <- struct{}{} }()
					for range 20 {
						if l.worker.Handle(l.ctx, d) == store.Done() || l.dead.Load() {
							return
						}
						time.Sleep(time.Second)
					}
				}()
			}
			for range all {
				<-done
			}
			l.end()
		}
		for _, id := range ids {
			if s := w.record(id).State; id != bad && s != job.Held {
				t.Errorf("job %s is %q", id.Job, s)
			}
		}
		if dead := w.deadLetters(t); len(dead) == 0 || dead[0].Job != bad.Job {
			t.Errorf("dead letters %+v", dead)
		}
	})
}

// What is delivered often and fails, what a clean stop leaves over and what another
// replica has in hand is no crash.
func TestWhatIsNoCrash(t *testing.T) {
	for name, fail := range map[string]func(*testing.T, *world, store.Delivery){
		"outage": func(t *testing.T, w *world, d store.Delivery) {
			for range 5 {
				l := w.live("")
				w.sim.Outage(true)
				l.worker.Handle(l.ctx, d)
				w.sim.Outage(false)
				l.end()
			}
		},
		"clean stop": func(t *testing.T, w *world, d store.Delivery) {
			for range 5 {
				o := &opens{n: map[string]int{}}
				l := new(life)
				o.dies = func(string) bool { l.kill(); return false } // the drain is over
				l = w.live("", withPolicy(t, counting), o.in(&l))
				l.worker.Handle(l.ctx, d)
				l.end()
			}
		},
		"another replica": func(t *testing.T, w *world, d store.Delivery) {
			replicas := func(d *connector.Deps) { d.Sole, d.Inflight = false, alive{d.Inflight} }
			at, on := make(chan struct{}), make(chan struct{})
			first := w.live("", withPolicy(t, counting), replicas, func(d *connector.Deps) {
				d.Pages = func(context.Context, graph.Ref, graph.Document) (int, error) {
					close(at)
					<-on
					return 0, errors.New("not now")
				}
			})
			done := make(chan struct{})
			go func() { defer close(done); first.worker.Handle(first.ctx, d) }()
			<-at
			for range 5 {
				l := w.live("", withPolicy(t, counting), replicas)
				d.Delivered++
				l.worker.Handle(l.ctx, d)
				l.end()
				time.Sleep(time.Minute)
			}
			close(on)
			<-done
		},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3})
				fail(t, w, d)
				l := w.live("")
				l.worker.Handle(l.ctx, d)
				if s := w.record(id).State; s != job.Held || len(w.deadLetters(t)) > 0 {
					t.Errorf("job is %q, dead letters %+v", s, w.deadLetters(t))
				}
			})
		})
	}
}

// alive says that every instance works.
type alive struct{ inflight.KV }

func (alive) Alive(context.Context, string) (bool, error) { return true, nil }

// A replica that died is found when its note is old enough.
func TestReplicaThatDied(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3})
		o := &opens{n: map[string]int{}, dies: func(job string) bool { return job == id.Job }}
		for range 3 {
			l := o.live(t, w, func(d *connector.Deps) { d.Sole = false })
			l.worker.Handle(l.ctx, d)
			l.end()
			time.Sleep(2 * time.Minute)
			d.Delivered++
		}
		l := o.live(t, w, func(d *connector.Deps) { d.Sole = false })
		l.worker.Handle(l.ctx, d)
		if dead := w.deadLetters(t); len(dead) != 1 || dead[0].Reason != "crash" || o.n[id.Job] != 3 {
			t.Errorf("opened %d times, dead letters %+v", o.n[id.Job], dead)
		}
	})
}

// A document that kills the process at the device is not opened a fourth time: its
// job is decided as one whose pages nobody knows.
func TestTapThatKillsTheProcess(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		const atRelease = `

unknown: {pages: allow}
rules:
  - {name: long, at: release, when: 'has(job.pages) && job.pages > 1000', verdict: abort,
     reason: pages.too-many, text: 'Too long.', remedy: 'Print less.'}
`
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3})
		l := w.live("")
		l.worker.Handle(l.ctx, d)
		l.end()
		o := &opens{n: map[string]int{}, dies: func(job string) bool { return job == id.Job }}
		for range 4 {
			l := new(life)
			l = w.live("", withPolicy(t, atRelease), o.in(&l))
			out, err := l.release.Release(l.ctx, order())
			t.Log(fmt.Sprint(out), err)
			l.end()
		}
		if o.n[id.Job] != 3 {
			t.Errorf("the document was opened %d times, want 3", o.n[id.Job])
		}
	})
}

// grouped makes a policy that asks for the groups of the owner before pages are counted.
const grouped = `
rules:
  - {name: long, at: arrival, when: "'staff' in user.groups || job.pages > 1000", verdict: abort,
     reason: pages.too-many, text: 'Too long.', remedy: 'Print less.'}
`

// A process that is killed at another step of a job each time was killed from outside.
func TestKilledAtOtherSteps(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3})
		at := "documents"
		o := &opens{n: map[string]int{}, dies: func(string) bool { return at == "documents" }}
		live := func() *life {
			l := new(life)
			l = w.live("", withPolicy(t, grouped), o.in(&l), func(deps *connector.Deps) {
				inForce := deps.Policy
				deps.Policy = func() *policy.Policy {
					if at == "policy" {
						l.dead.Store(true)
						l.kill()
					}
					return inForce()
				}
			})
			return l
		}
		for i := range 10 {
			at = []string{"documents", "policy"}[i%2]
			l := live()
			l.worker.Handle(l.ctx, d)
			l.end()
			time.Sleep(2 * time.Minute) // a dead process still asks for groups, and gets no answer
		}
		at = ""
		l := live()
		l.worker.Handle(l.ctx, d)
		if dead := w.deadLetters(t); len(dead) != 0 || w.record(id).State != job.Held {
			t.Errorf("the job is %q, dead letters %+v", w.record(id).State, dead)
		}
	})
}
