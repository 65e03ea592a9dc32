package connector_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"iter"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// renumbered is a Graph in which a job has the number of one before it.
type renumbered struct {
	connector.Graph
	number string // that both have
	job    string // as the simulator calls the newer; empty as long as it has not come
}

func (g *renumbered) at(ref graph.Ref) graph.Ref {
	if ref.Job == g.number && g.job != "" {
		ref.Job = g.job
	}
	return ref
}

func (g *renumbered) Job(ctx context.Context, ref graph.Ref) (graph.Job, error) {
	job, err := g.Graph.Job(ctx, g.at(ref))
	job.Ref = ref
	return job, err
}

func (g *renumbered) AbortJob(ctx context.Context, ref graph.Ref, reason string) error {
	return g.Graph.AbortJob(ctx, g.at(ref), reason)
}

func (g *renumbered) RedirectJob(
	ctx context.Context, ref graph.Ref, destination string, settings json.RawMessage,
) (graph.Ref, error) {
	return g.Graph.RedirectJob(ctx, g.at(ref), destination, settings)
}

// A printer gives the number of a job to another one: the former has come to its end, and is
// paid for if it may have printed; the newer is decided, counted and paid for as any other.
func TestNumberOfAnotherJob(t *testing.T) {
	racetest.Skip(t, "one former job after the other")
	const early = "reserve: arrival\n" + weekly
	for name, c := range map[string]struct {
		former func(t *testing.T, w *world, l *life) // from when it is held on
		died   string                                // where its process dies
		spent  int
		audit  string
	}{
		"held":     {former: func(*testing.T, *world, *life) {}, audit: "hold hold redirect"},
		"canceled": {former: func(_ *testing.T, _ *world, l *life) { l.cancelAll() }, audit: "hold abort hold redirect"},
		"being canceled": {
			former: func(_ *testing.T, _ *world, l *life) { l.cancelAll() },
			died:   "before call", audit: "hold abort hold redirect",
		},
		"released, unpaid": {
			former: func(t *testing.T, _ *world, l *life) { l.releaseAll(t) },
			spent:  3, audit: "hold redirect hold redirect",
		},
		"released, paid": {former: func(t *testing.T, _ *world, l *life) {
			l.releaseAll(t)
			time.Sleep(10 * time.Minute)
			l.sweep(t)
		}, spent: 3, audit: "hold redirect hold redirect"},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				g := &renumbered{}
				start := func(spot string) *life {
					return w.live(spot, withPolicy(t, early), func(d *connector.Deps) {
						g.Graph, d.Graph = d.Graph, g
						count := d.Pages
						d.Pages = func(ctx context.Context, job graph.Ref, doc graph.Document) (int, error) {
							return count(ctx, g.at(job), doc)
						}
					})
				}
				id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3, ContentType: "application/pdf"})
				g.number = id.Job
				l := start("")
				l.worker.Handle(l.ctx, d)
				if c.died != "" {
					l.end()
					l = start(c.died)
				}
				c.former(t, w, l)
				l.end()
				time.Sleep(30 * time.Minute)
				newer, _ := w.print(graphtest.JobSpec{Printer: pullID, Pages: 5, ContentType: "application/pdf"})
				g.job = newer.Job
				body, err := w.verifier.SweepNotification(w.task(newer), newer.Printer, g.number)
				if err != nil {
					t.Fatal(err)
				}
				l = start("")
				l.worker.Handle(l.ctx, store.Delivery{
					Body: body, Definition: w.verifier.Definition(), Delivered: 1, Stored: time.Now(), Sequence: 2,
				})
				rec := w.record(id)
				if rec.State != job.Held || rec.Task != w.task(newer) || rec.Pages == nil || rec.Pages.Count != 5 {
					t.Errorf("the newer is %s, %+v pages", rec.State, rec.Pages)
				}
				w.has(t, early, c.spent, 5)
				l.releaseAll(t)
				for range 2 {
					time.Sleep(10 * time.Minute)
					l.sweep(t)
				}
				w.has(t, early, c.spent+5, 0)
				verdicts := ""
				ids := map[string]bool{}
				for _, d := range w.audit(t) {
					verdicts += " " + d.Verdict
					if ids[d.ID] {
						t.Errorf("decision %s is there twice", d.ID)
					}
					ids[d.ID] = true
				}
				if verdicts != " "+c.audit {
					t.Errorf("the audit has%s, want %s", verdicts, c.audit)
				}
				if n := w.sim.Prints(newer); n != 1 {
					t.Errorf("the newer printed %d times", n)
				}
			})
		})
	}
}

func (g *renumbered) Tasks(ctx context.Context, definition string) iter.Seq2[graph.Task, error] {
	return func(yield func(graph.Task, error) bool) {
		for task, err := range g.Graph.Tasks(ctx, definition) {
			switch {
			case g.job == "":
			case task.Job.Job == g.number:
				continue // the former has gone
			case task.Job.Job == g.job:
				task.Job.Job = g.number
			}
			if !yield(task, err) {
				return
			}
		}
	}
}

// The sweep finds the task of a job that has the number of an earlier one, as any whose
// notification was lost, whatever became of the earlier one.
func TestNumberOfAnotherJobUntold(t *testing.T) {
	racetest.Skip(t, "one former job after the other")
	for name, former := range map[string]func(t *testing.T, l *life){
		"held":     func(*testing.T, *life) {},
		"canceled": func(_ *testing.T, l *life) { l.cancelAll() },
		"released": func(t *testing.T, l *life) { l.releaseAll(t) },
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w, g := newWorld(t, bustest.Open(t), graphtest.Calm()), &renumbered{}
				id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3, ContentType: "application/pdf"})
				g.number = id.Job
				l := w.live("", func(d *connector.Deps) { g.Graph, d.Graph = d.Graph, g })
				l.worker.Handle(l.ctx, d)
				former(t, l)
				time.Sleep(30 * time.Minute)
				newer, _ := w.print(graphtest.JobSpec{Printer: pullID, Pages: 5, ContentType: "application/pdf"})
				g.job = newer.Job
				for range 2 {
					l.sweep(t)
					ctx, cancel := context.WithTimeout(l.ctx, 2*time.Minute)
					_ = w.bus.Consume(ctx, 4, func(ctx context.Context, d store.Delivery) store.Disposition {
						if !bytes.Contains(d.Body, []byte("pullprint-sweep")) {
							return store.Done() // what was told of it is lost
						}
						return l.worker.Handle(ctx, d)
					})
					cancel()
				}
				if rec := w.record(id); rec.State != job.Held || rec.Task != w.task(newer) {
					t.Errorf("the record is %s, of the newer: %v", rec.State, rec.Task == w.task(newer))
				}
			})
		})
	}
}

func (l *life) releaseAll(t *testing.T) {
	t.Helper()
	if out, err := l.release.Release(l.ctx, order()); err != nil || len(out.Released) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
}

// cancelAll has an administrator cancel what is held.
func (l *life) cancelAll() {
	_ = job.NewStore(l.bus.Jobs(), job.DefaultRetention).Owned(context.Background(), studentID, func(rec job.Record, _ uint64) error {
		_, _ = l.release.Cancel(l.ctx, release.Cancellation{Key: rec.Key(), Actor: "admin"})
		return nil
	})
}

// An end is that of another job of the same name when it was before this one can have ended.
func TestEndOfAnotherJob(t *testing.T) {
	b, now := bustest.Open(t), time.Now()
	l := ledger.New(b.Quota(), b, rand.Text)
	lab := quotatest.Weekly("center.lab", 50)
	charge := func(since time.Time) error {
		return l.Reserve(t.Context(), quota.Charge{
			Job: "p/1", Attempt: since.String(), Owner: studentID, Amount: quota.Unit, Claims: []quota.Claim{lab}, Now: now,
			Since: since,
		})
	}
	if err := charge(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Settle(t.Context(), "p/1", []quota.Account{lab.Account}, now); err != nil {
		t.Fatal(err)
	}
	for since, ended := range map[time.Time]bool{{}: true, now.Add(-time.Minute): true, now.Add(time.Minute): false} {
		if err := charge(since); (err != nil) != ended {
			t.Errorf("since %v: %v", since, err)
		}
	}
}
