package connector_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/inflight"
	"pullprint/connector/job"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

// slowDelete is where notes are kept that are taken back slowly: the process is killed at it.
type slowDelete struct {
	inflight.KV
	kill func()
}

func (k slowDelete) Delete(context.Context, string, uint64) (bool, error) {
	time.Sleep(time.Second) // virtual
	k.kill()
	return false, errKilled
}

// A job that waits to be alone has not begun while the note of the one before it still
// stands: a process that is killed then did not die at it.
func TestKilledWhileANoteIsTakenBack(t *testing.T) {
	quiet(t, func(w *world) {
		first, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3})
		second, e := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3})
		for _, id := range []graphtest.JobID{first, second} {
			key := id.Printer + "." + id.Job
			if _, ok, err := w.bus.Inflight().CompareAndSet(w.t.Context(), key, []byte(`{"crashes":2}`), 0, time.Hour); err != nil || !ok {
				w.t.Fatal(ok, err)
			}
		}
		var l *life
		l = w.live("", withPolicy(w.t, counting), func(deps *connector.Deps) {
			deps.Pages = func(_ context.Context, job graph.Ref, _ graph.Document) (int, error) {
				if job.Job == second.Job {
					time.Sleep(2 * time.Second) // virtual
				}
				if l.dead.Load() {
					return 0, errKilled
				}
				return 1, nil
			}
			deps.Inflight = slowDelete{deps.Inflight, func() { l.dead.Store(true); l.kill() }}
		})
		done := make(chan struct{})
		go func() { defer close(done); l.worker.Handle(l.ctx, d) }()
		time.Sleep(time.Millisecond)
		l.worker.Handle(l.ctx, e)
		<-done
		l.end()
		l = w.live("")
		l.worker.Handle(l.ctx, e)
		if dead := w.deadLetters(w.t); len(dead) != 0 || w.record(second).State != job.Held {
			w.t.Errorf("the job that waited is %q, dead letters %+v", w.record(second).State, dead)
		}
	})
}

var errLost = errors.New("the answer was lost")

// lostAnswers is where notes are kept: it stores them, and some of its answers are lost.
type lostAnswers struct {
	inflight.KV
	lost    func(value []byte, revision uint64) bool
	reading *atomic.Bool // reads work
}

func (k lostAnswers) CompareAndSet(
	ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, bool, error) {
	rev, ok, err := k.KV.CompareAndSet(ctx, key, value, revision, ttl)
	if err == nil && ok && k.lost(value, revision) {
		k.reading.Store(false)
		return 0, false, errLost
	}
	return rev, ok, err
}

func (k lostAnswers) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if !k.reading.Load() {
		return nil, 0, errLost
	}
	return k.KV.Get(ctx, key)
}

func (k lostAnswers) Delete(ctx context.Context, key string, revision uint64) (bool, error) {
	k.reading.Store(true)
	return k.KV.Delete(ctx, key, revision)
}

// failingReads is a Graph that does not tell of jobs.
type failingReads struct{ connector.Graph }

func (failingReads) Job(context.Context, graph.Ref) (graph.Job, error) {
	return graph.Job{}, fmt.Errorf("no job today")
}

// A note whose newest write was answered by nobody is taken back all the same: a process that
// is killed later, with nothing under way, did not die at the job.
func TestNoteIsTakenBackAfterALostAnswer(t *testing.T) {
	for name, lost := range map[string]func(value []byte, revision uint64) bool{
		"of a wait that ended": func(value []byte, revision uint64) bool {
			return revision != 0 && !strings.Contains(string(value), `"waiting"`)
		},
		"of the first note": func([]byte, uint64) bool { return true },
	} {
		t.Run(name, func(t *testing.T) {
			quiet(t, func(w *world) {
				id, d := w.print(graphtest.JobSpec{Printer: pullID})
				for range 5 {
					reading := new(atomic.Bool)
					reading.Store(true)
					l := w.live("", func(deps *connector.Deps) {
						deps.Graph = failingReads{deps.Graph}
						deps.Inflight = lostAnswers{deps.Inflight, lost, reading}
					})
					l.worker.Handle(l.ctx, d)
					l.dead.Store(true)
					l.end()
				}
				l := w.live("")
				l.worker.Handle(l.ctx, d)
				if dead := w.deadLetters(w.t); len(dead) != 0 || w.record(id).State != job.Held {
					w.t.Errorf("the job is %q, dead letters %+v", w.record(id).State, dead)
				}
			})
		})
	}
}
