package connector_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/policy/quota"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// withMetrics has a life register its metrics.
func withMetrics(reg *prometheus.Registry) func(*connector.Deps) {
	return func(d *connector.Deps) { d.Registerer = reg }
}

// printedCount is pullprint_printed_total of a device and result.
func printedCount(t *testing.T, reg *prometheus.Registry, device, result string) int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != "pullprint_printed_total" {
				continue
			}
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["device"] == device && labels["result"] == result {
				n += int(m.GetCounter().GetValue())
			}
		}
	}
	return n
}

// paperSteps are the steps of a trail that tell of the paper.
func paperSteps(rec job.Record) (steps []string) {
	for _, s := range rec.Trail {
		if strings.HasPrefix(s.Note, "paper: ") {
			steps = append(steps, s.Note)
		}
	}
	return steps
}

// paperCase is an end of a job of 7 pages at its printer.
type paperCase struct {
	queue string // where it is sent; empty is the pull queue
	then  func(w *world, at graphtest.JobID)
	wait  time.Duration // until the first sweep after it
	state paper.State
	// detail is in the record, spent what it costs in the end.
	detail string
	spent  int
}

var paperCases = map[string]paperCase{
	"printed": {state: paper.Printed, spent: 7},
	"canceled at the printer": {
		then: func(w *world, at graphtest.JobID) { _ = w.sim.CancelJob(at) }, state: paper.Canceled,
	},
	"aborted by the printer": {
		then: func(w *world, at graphtest.JobID) { _ = w.sim.FailJob(at) }, state: paper.Failed,
	},
	"forgotten by the printer": {
		then: func(w *world, at graphtest.JobID) { _ = w.sim.DeleteJob(at) }, wait: 6 * time.Minute,
		state: paper.Unknown, detail: "does not know the job", spent: 7,
	},
	"the printer vanishes": {
		then: func(w *world, at graphtest.JobID) { _ = w.sim.RemovePrinter(at.Printer) }, wait: 6 * time.Minute,
		state: paper.Unknown, detail: "does not know the job", spent: 7,
	},
	"out of paper for a day": { // a second of the test: the store has its timers for 25 hours
		then: func(w *world, at graphtest.JobID) { _ = w.sim.Jam(at.Printer, "mediaEmpty") }, wait: 25 * time.Hour,
		state: paper.Unknown, detail: "not ended within a day, stopped",
	},
	"a jam that is cleared": {
		then: func(w *world, at graphtest.JobID) {
			_ = w.sim.Jam(at.Printer, "mediaJam")
			time.Sleep(time.Hour)
			_ = w.sim.Unjam(at.Printer)
		}, state: paper.Printed, spent: 7,
	},
	"printed where it was sent": {queue: directID, state: paper.Printed, spent: 7},
	"aborted where it was sent": {
		queue: directID, then: func(w *world, at graphtest.JobID) { _ = w.sim.FailJob(at) }, state: paper.Failed,
	},
}

// Every job that is let go on is followed until its end at the printer, whether somebody pays for
// it or not: record, trail, account and metric say the same, once.
func TestFollowedToPaper(t *testing.T) {
	racetest.Skip(t, "many cases of what TestPaperThroughACrash and TestFailedAtThePrinter do")
	for name, c := range paperCases {
		for _, src := range []string{testPolicy, "refunds: {aborted: 1}\n" + weekly} {
			t.Run(fmt.Sprintf("%s, budgets %t", name, src != testPolicy), func(t *testing.T) {
				bustest.Virtual(t, func(t *testing.T) { c.play(t, src) })
			})
		}
	}
}

func (c paperCase) play(t *testing.T, src string) {
	k := graphtest.Calm()
	k.PrintTime = 90 * time.Second
	w, reg := newWorld(t, bustest.Open(t), k), prometheus.NewRegistry()
	queue, device := pullID, "hq-2-west"
	if c.queue != "" {
		queue, device = c.queue, "Poster"
	}
	id, d := w.print(graphtest.JobSpec{Printer: queue, Pages: 7})
	l := w.live("", withPolicy(t, src), withMetrics(reg))
	l.worker.Handle(l.ctx, d)
	at := id
	if queue == pullID {
		out, err := l.release.Release(l.ctx, order())
		if err != nil || len(out.Released) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		at = graphtest.JobID{Printer: westID, Job: out.Released[0].DestinationJob}
	}
	if rec := w.record(id); rec.Paper == nil || rec.Paper.State != paper.Pending || len(paperSteps(rec)) > 0 {
		t.Fatalf("%+v, %+v", rec.Paper, rec.Trail)
	}
	time.Sleep(time.Second)
	l.sweep(t)
	if rec := w.record(id); rec.Paper.State != paper.Pending {
		t.Errorf("it is under way: %+v", rec.Paper)
	}
	if c.then != nil {
		c.then(w, at)
	}
	time.Sleep(max(c.wait, 2*time.Minute))
	for range 3 {
		l.sweep(t)
		time.Sleep(time.Minute)
	}
	rec := w.record(id)
	if steps := paperSteps(rec); rec.Paper.State != c.state || !strings.Contains(rec.Paper.Detail, c.detail) || len(steps) != 1 ||
		!strings.HasPrefix(steps[0], "paper: "+string(c.state)) {
		t.Errorf("%+v, %q, want %s", rec.Paper, steps, c.state)
	}
	for _, r := range paper.Results {
		want := 0
		if r == c.state {
			want = 1
		}
		if got := printedCount(t, reg, device, string(r)); got != want {
			t.Errorf("%d jobs %s, want %d", got, r, want)
		}
	}
	durations, err := testutil.GatherAndCount(reg, "pullprint_paper_duration_seconds")
	if err != nil || durations != len(devices) {
		t.Errorf("%d series of durations, %v", durations, err)
	}
	if src != testPolicy {
		if b := w.standing(t, src); c.wait < 24*time.Hour && (b.Spent.String() != fmt.Sprint(c.spent) || b.Reserved != 0) {
			t.Errorf("spent %s, reserved %s; want %d", b.Spent, b.Reserved, c.spent)
		}
	}
}

// However many jobs are under way at a printer, a sweep lists its jobs once and reads none of them,
// also when it is kicked; of those that nobody pays for and of those that are paid for alike.
func TestOneListPerPrinter(t *testing.T) {
	for name, src := range map[string]string{"without budgets": testPolicy, "with budgets": strings.Replace(weekly, "20", "200", 1)} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				k := graphtest.Calm()
				k.PrintTime = time.Hour
				k.Latency = 100 * time.Millisecond // several wait for the list
				w := newWorld(t, bustest.Open(t), k)
				l := w.live("", withPolicy(t, src))
				for range 12 {
					_, d := w.print(graphtest.JobSpec{Printer: pullID})
					l.worker.Handle(l.ctx, d)
				}
				if out, err := l.release.Release(l.ctx, order()); err != nil || len(out.Released) != 12 {
					t.Fatalf("%+v, %v", out, err)
				}
				time.Sleep(time.Second) // the index follows
				l.sweep(t)              // which also looks for drift
				time.Sleep(time.Minute)
				var lists, reads atomic.Int64
				w.sim.Change(func(k *graphtest.Knobs) {
					k.Intercept = func(op string, r graphtest.Request) graphtest.Fault {
						switch {
						case op == graphtest.OpJobList && r.Printer == westID:
							lists.Add(1)
						case op == graphtest.OpJobGet:
							reads.Add(1)
						}
						return graphtest.Fault{}
					}
				})
				for range 3 {
					l.sweep(t)
				}
				if lists.Load() != 1 || reads.Load() != 0 {
					t.Errorf("%d lists and %d reads of jobs", lists.Load(), reads.Load())
				}
				time.Sleep(time.Hour)
				l.sweep(t)
				if lists.Load() != 2 || reads.Load() != 0 {
					t.Errorf("%d lists and %d reads of jobs", lists.Load(), reads.Load())
				}
				time.Sleep(time.Second)
				for _, f := range l.index.Followed() {
					t.Errorf("%s is followed still", f.Ref)
				}
			})
		})
	}
}

// A process that dies between seeing the end of a job and storing it leaves nothing undone, and the
// next does nothing twice.
func TestPaperThroughACrash(t *testing.T) {
	for _, spot := range []string{"before account", "after account", "before outcome", "after outcome"} {
		t.Run(spot, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				src := "refunds: {aborted: 0.5}\n" + weekly
				k := graphtest.Calm()
				k.PrintTime = 90 * time.Second
				w := newWorld(t, bustest.Open(t), k)
				id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 8})
				l := w.live("", withPolicy(t, src))
				l.worker.Handle(l.ctx, d)
				out, err := l.release.Release(l.ctx, order())
				if err != nil || len(out.Released) != 1 {
					t.Fatalf("%+v, %v", out, err)
				}
				l.end()
				if err := w.sim.FailJob(graphtest.JobID{Printer: westID, Job: out.Released[0].DestinationJob}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				told := new(notices)
				heard := func(d *connector.Deps) { d.Notices = told }
				dying := w.live(spot, withPolicy(t, src), heard)
				_ = dying.sweeper.Sweep(dying.ctx)
				if !dying.dead.Load() {
					t.Fatal("it did not die")
				}
				dying.end()
				l = w.live("", withPolicy(t, src), heard)
				for range 3 {
					time.Sleep(time.Minute)
					l.sweep(t)
				}
				if rec := w.record(id); rec.Paper.State != paper.Failed || len(paperSteps(rec)) != 1 {
					t.Errorf("%+v, %+v", rec.Paper, rec.Trail)
				}
				w.has(t, weekly, 4, 0)
				if ids := slices.Compact(told.ids); len(ids) != 1 { // whoever hears both knows them by their id
					t.Errorf("notices %q", told.ids)
				}
				for _, n := range told.bodies {
					if n.Refunded != nil && *n.Refunded != 4*quota.Unit {
						t.Errorf("the notice says that %s was given back", *n.Refunded)
					}
				}
			})
		})
	}
}

// A job that an earlier version let go on, whose record says nothing of paper, is not followed.
func TestPaperOfAnEarlierVersion(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w, reg := newWorld(t, bustest.Open(t), graphtest.Calm()), prometheus.NewRegistry()
		id := w.hold()
		l := w.live("")
		if out, err := l.release.Release(l.ctx, order()); err != nil || len(out.Released) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		l.end()
		rec, rev, err := job.NewStore(w.bus.Jobs(), 7*24*time.Hour).Get(t.Context(), w.recordKey(id))
		if err != nil {
			t.Fatal(err)
		}
		rec.Paper = nil
		value, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok, err := w.bus.Jobs().CompareAndSet(t.Context(), w.recordKey(id), value, rev, 7*24*time.Hour); err != nil || !ok {
			t.Fatal(ok, err)
		}
		l = w.live("", withMetrics(reg))
		time.Sleep(time.Minute)
		l.sweep(t)
		if now := w.record(id); now.Paper != nil || len(now.Trail) != len(rec.Trail) || printedCount(t, reg, "hq-2-west", "printed") != 0 {
			t.Errorf("%+v, %+v", now.Paper, now.Trail)
		}
	})
}
