package connector_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector"
	"pullprint/connector/arrival"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/store"
	"pullprint/policy"
	"pullprint/policy/policyfile"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// calls is how many calls Graph has seen, sign-ins aside.
func (w *world) calls() int {
	n := 0
	for op, c := range w.sim.AllCalls() {
		if strings.Contains(op, ".") && !strings.HasPrefix(op, "notifications.") && !strings.HasPrefix(op, "token") &&
			!strings.HasPrefix(op, "oauth") {
			n += c
		}
	}
	return n
}

func (w *world) record(id graphtest.JobID) job.Record {
	w.t.Helper()
	rec, _, err := job.NewStore(w.bus.Jobs(), job.DefaultRetention).Get(context.Background(), job.Key(studentID, graph.Ref(id)))
	if err != nil {
		w.t.Fatal(err)
	}
	return rec
}

// quiet is a world whose registration is over, so that calls can be counted.
func quiet(t *testing.T, fn func(w *world)) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		synctest.Wait()
		fn(w)
	})
}

// A decision costs one read and one effect, a hold one read.
func TestGraphCallsPerDecision(t *testing.T) {
	quiet(t, func(w *world) {
		l := w.live("")
		for _, e := range ends {
			_, d := w.print(e.spec)
			synctest.Wait()
			w.sim.ForgetCalls()
			l.worker.Handle(w.t.Context(), d)
			want := 2
			if e.state == job.Held {
				want = 1
			}
			if n := w.calls(); n != want {
				w.t.Errorf("%s: %d Graph calls, want %d: %v", e.name, n, want, w.sim.AllCalls())
			}
		}
	})
}

// A message that is not for us costs no Graph call, whoever put it there.
func TestMessagesWithoutAuthority(t *testing.T) {
	quiet(t, func(w *world) {
		l := w.live("")
		id, good := w.print(graphtest.JobSpec{Printer: directID, Copies: 99})
		synctest.Wait()
		var n map[string]any
		if err := json.Unmarshal(good.Body, &n); err != nil {
			w.t.Fatal(err)
		}
		alter := func(key string, value any) []byte {
			m := map[string]any{}
			for k, v := range n {
				m[k] = v
			}
			m[key] = value
			b, err := json.Marshal(m)
			if err != nil {
				w.t.Fatal(err)
			}
			return b
		}
		resource := n["resource"].(string)
		for name, body := range map[string][]byte{
			"forged":          alter("clientState", strings.Repeat("A", 43)),
			"no clientState":  alter("clientState", ""),
			"other tenant":    alter("tenantId", "00000000-0000-0000-0000-000000000000"),
			"foreign":         alter("resource", strings.Replace(resource, w.verifier.Definition(), "another", 1)),
			"no subscription": alter("subscriptionId", "f0f0f0f0"),
			"unknown printer": alter("resourceData",
				map[string]any{"id": w.task(id), "parentUrl": "https://graph.microsoft.com/v1.0/print/printers/nobodys/jobs/1"}),
			"not JSON":  []byte(`{"value":`),
			"traversal": alter("resource", resource+"/../../x"),
			"empty":     nil,
		} {
			w.sim.ForgetCalls()
			d := good
			d.Body = body
			if got := l.worker.Handle(w.t.Context(), d); got != store.Done() {
				w.t.Errorf("%s: comes again", name)
			}
			if c := w.calls(); c != 0 {
				w.t.Errorf("%s cost %d Graph calls: %v", name, c, w.sim.AllCalls())
			}
		}
		if job, _ := w.sim.Job(id); job.State != "paused" {
			w.t.Errorf("the job is %s", job.State)
		}
	})
}

// A notification that is ours but names another's job changes nothing there.
func TestTaskOfAnotherJob(t *testing.T) {
	quiet(t, func(w *world) {
		l := w.live("")
		victim, _ := w.print(graphtest.JobSpec{Printer: directID, Copies: 99})
		mine, d := w.print(graphtest.JobSpec{Printer: directID})
		body, err := w.verifier.SweepNotification(w.task(mine), victim.Printer, victim.Job)
		if err != nil {
			w.t.Fatal(err)
		}
		d.Body = body
		if got := l.worker.Handle(w.t.Context(), d); got != store.Done() {
			w.t.Error("comes again")
		}
		if job, _ := w.sim.Job(victim); job.State != "paused" || job.Effects.Applied() != 0 {
			w.t.Errorf("the victim's job: %s %+v", job.State, job.Effects)
		}
	})
}

func (w *world) dead() []arrival.DeadLetter {
	w.t.Helper()
	var letters []arrival.DeadLetter
	err := w.bus.Dead(context.Background(), time.Time{}, false, func(_ time.Time, body []byte) error {
		var d arrival.DeadLetter
		if err := json.Unmarshal(body, &d); err != nil {
			return err
		}
		letters = append(letters, d)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return letters
}

// What is given up says why: poison, a panic, ten deliveries.
func TestDeadLetters(t *testing.T) {
	quiet(t, func(w *world) {
		l := w.live("")
		_, d := w.print(graphtest.JobSpec{Printer: directID})
		poison := d
		poison.Body, poison.Sequence = []byte("{"), 101
		l.worker.Handle(w.t.Context(), poison)

		broken := w.live("", func(d *connector.Deps) { d.Policy = func() *policy.Policy { panic("a bug with a secret in it") } })
		d.Sequence = 102
		broken.worker.Handle(w.t.Context(), d)

		id, d := w.print(graphtest.JobSpec{Printer: directID})
		w.sim.Change(func(k *graphtest.Knobs) {
			k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
				if r.Job == id.Job && r.Printer == id.Printer {
					return graphtest.Fault{Refuse: http.StatusInternalServerError}
				}
				return graphtest.Fault{}
			}
		})
		d.Sequence = 103
		for d.Delivered = 1; d.Delivered < 10; d.Delivered++ {
			if got := l.worker.Handle(w.t.Context(), d); got == store.Done() {
				w.t.Fatalf("given up at delivery %d", d.Delivered)
			}
		}
		if got := l.worker.Handle(w.t.Context(), d); got != store.Done() {
			w.t.Error("comes again after ten deliveries")
		}
		letters := w.dead()
		if len(letters) != 3 {
			w.t.Fatalf("%d dead letters, want 3: %+v", len(letters), letters)
		}
		for i, reason := range []string{"malformed", "panic", "attempts"} {
			if letters[i].Reason != reason || letters[i].Error == "" || strings.Contains(letters[i].Error, "secret") {
				w.t.Errorf("dead letter %d: %+v", i, letters[i])
			}
		}
		if letters[2].Task != w.task(id) || letters[2].Attempts != 10 {
			w.t.Errorf("dead letter: %+v", letters[2])
		}
	})
}

// 64 deliveries of one job at once: one effect, one record, nobody fails.
func TestConcurrentDeliveries(t *testing.T) {
	for _, e := range ends {
		t.Run(e.name, func(t *testing.T) {
			w := newWorld(t, bustest.Open(t), graphtest.Calm())
			shared := func(d *connector.Deps) { d.Sole = false }
			lives := []*life{w.live("", shared), w.live("", shared)} // two processes on one store
			id, d := w.print(e.spec)
			var wg sync.WaitGroup
			for i := range 64 {
				wg.Go(func() { lives[i%2].worker.Handle(t.Context(), d) })
			}
			wg.Wait()
			w.judge(t, id, e)
		})
	}
}

// A replica that shares the store waits for a rival's intent, takes it over
// when the rival is dead, and looks before it acts.
func TestTakeOver(t *testing.T) {
	for _, spot := range []string{"after intent", "after call"} {
		t.Run(spot, func(t *testing.T) {
			quiet(t, func(w *world) {
				shared := func(d *connector.Deps) { d.Sole = false }
				id, d := w.print(ends[2].spec)
				l := w.live(spot, shared)
				l.worker.Handle(l.ctx, d)
				l.end()
				second := w.live("", shared)
				d.Delivered = 2
				if got := second.worker.Handle(w.t.Context(), d); got == store.Done() {
					w.t.Error("acted on a rival's fresh intent")
				}
				if rec := w.record(id); rec.State != job.Aborting {
					w.t.Errorf("record is %s", rec.State)
				}
				time.Sleep(61 * time.Second) // virtual
				d.Delivered = 3
				if got := second.worker.Handle(w.t.Context(), d); got != store.Done() {
					w.t.Error("did not take over")
				}
				w.judge(w.t, id, ends[2])
			})
		})
	}
}

// Whatever Graph answers to an effect, it happens once and its reason arrives.
func TestAnswersToAnEffect(t *testing.T) {
	racetest.Skip(t, "one answer of Graph after the other")
	for name, fault := range map[string]graphtest.Fault{
		"lost":            {Lose: true},
		"lost as 504":     {LoseAs: http.StatusGatewayTimeout},
		"dropped":         {Drop: true},
		"503 before":      {Refuse: http.StatusServiceUnavailable},
		"409 before":      {Refuse: http.StatusConflict},
		"429 before":      {Refuse: http.StatusTooManyRequests, RetryAfter: "1"},
		"500 though done": {LoseAs: http.StatusInternalServerError},
		"403 though done": {LoseAs: http.StatusForbidden},
		"404 though done": {LoseAs: http.StatusNotFound},
	} {
		for _, e := range ends[1:] {
			t.Run(name+"/"+e.name, func(t *testing.T) {
				quiet(t, func(w *world) {
					id, d := w.print(e.spec)
					left := 1
					w.sim.Change(func(k *graphtest.Knobs) {
						k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
							if left > 0 && r.Method != http.MethodGet && (r.Job == id.Job || r.Task != "") {
								left--
								return fault
							}
							return graphtest.Fault{}
						}
					})
					l := w.live("")
					for d.Delivered = 1; l.worker.Handle(w.t.Context(), d) != store.Done(); d.Delivered++ {
						if d.Delivered == 5 {
							w.t.Fatal("never done")
						}
					}
					if left != 0 {
						w.t.Fatal("the fault never struck")
					}
					w.judge(w.t, id, e)
				})
			})
		}
	}
}

// A job that its user cancels while it is held is forgotten by the sweep.
func TestSweepEndsWhatIsOver(t *testing.T) {
	quiet(t, func(w *world) {
		l := w.live("")
		var ids []graphtest.JobID
		for range 3 {
			id, d := w.print(graphtest.JobSpec{Printer: pullID})
			l.worker.Handle(w.t.Context(), d)
			ids = append(ids, id)
		}
		synctest.Wait()
		if err := w.sim.CancelJob(ids[0]); err != nil {
			w.t.Fatal(err)
		}
		if err := w.sim.DeleteJob(ids[1]); err != nil {
			w.t.Fatal(err)
		}
		if err := l.sweeper.Sweep(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		for i, want := range []job.State{job.Gone, job.Gone, job.Held} {
			if rec := w.record(ids[i]); rec.State != want {
				w.t.Errorf("job %d is %s, want %s", i, rec.State, want)
			}
		}
	})
}

// Abort may leave the task waiting: the sweep finishes it.
func TestSweepFinishesTasksOfAbortedJobs(t *testing.T) {
	quiet(t, func(w *world) {
		w.sim.Change(func(k *graphtest.Knobs) { k.AbortEndsTask = 0 })
		l := w.live("")
		id, d := w.print(ends[2].spec)
		l.worker.Handle(w.t.Context(), d)
		synctest.Wait()
		if job, _ := w.sim.Job(id); job.Task.State != "processing" {
			w.t.Fatalf("task is %s before the sweep", job.Task.State)
		}
		if err := l.sweeper.Sweep(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		if job, _ := w.sim.Job(id); job.Task.State != "aborted" {
			w.t.Errorf("task is %s after the sweep", job.Task.State)
		}
	})
}

// A completion that something in between answered with success reaches Graph with the next
// sweep: the job is not left waiting there while its record says that it prints.
func TestSweepFinishesTasksOfCompletedJobs(t *testing.T) {
	quiet(t, func(w *world) {
		blocked := true
		w.sim.Change(func(k *graphtest.Knobs) {
			k.Intercept = func(op string, _ graphtest.Request) graphtest.Fault {
				if op == graphtest.OpTaskUpdate && blocked {
					return graphtest.Fault{Refuse: http.StatusOK}
				}
				return graphtest.Fault{}
			}
		})
		l := w.live("")
		id, d := w.print(graphtest.JobSpec{Printer: directID})
		l.worker.Handle(w.t.Context(), d)
		synctest.Wait()
		if rec := w.record(id); rec.State != job.Completed || len(w.sim.Paper()) != 0 {
			w.t.Fatalf("record %s, %d prints", rec.State, len(w.sim.Paper()))
		}
		blocked = false
		for range 2 {
			if err := l.sweeper.Sweep(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if n := len(w.sim.Paper()); n != 1 {
			w.t.Errorf("%d prints after the sweeps", n)
		}
	})
}

// A job that is completed after the sweep has listed its task is not completed again.
func TestSweepLooksBeforeItCompletesAgain(t *testing.T) {
	quiet(t, func(w *world) {
		l := w.live("")
		id, d := w.print(graphtest.JobSpec{Printer: directID})
		w.sim.Change(func(k *graphtest.Knobs) {
			k.Intercept = func(op string, _ graphtest.Request) graphtest.Fault {
				if op == graphtest.OpTaskList {
					return graphtest.Fault{After: func(int) { l.worker.Handle(context.WithoutCancel(w.t.Context()), d) }}
				}
				return graphtest.Fault{}
			}
		})
		if err := l.sweeper.Sweep(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		if job, _ := w.sim.Job(id); job.Effects.FinishApplied != 1 || job.Effects.FinishRefused != 0 {
			w.t.Errorf("%+v", job.Effects)
		}
	})
}

// A job of a direct queue that a failing rule held is decided again when the
// policy has changed.
func TestDecideAgain(t *testing.T) {
	quiet(t, func(w *world) {
		failing, err := policyfile.Load("p", []byte(`rules: [{name: broken, at: arrival, when: 'user.groups[99] == "x"', verdict: hold}]`))
		if err != nil {
			w.t.Fatal(err)
		}
		current := failing
		l := w.live("", func(d *connector.Deps) { d.Policy = func() *policy.Policy { return current } })
		id, d := w.print(graphtest.JobSpec{Printer: directID})
		l.worker.Handle(w.t.Context(), d)
		if rec := w.record(id); rec.State != job.Held || rec.Decision.Reason != reasons.PolicyError {
			w.t.Fatalf("record %s, reason %s", rec.State, rec.Decision.Reason)
		}
		current = policy.Default()
		synctest.Wait()
		d.Delivered = 1
		l.worker.Handle(w.t.Context(), d)
		if rec := w.record(id); rec.State != job.Completed {
			w.t.Errorf("record is %s after the policy was mended", rec.State)
		}
		if n := len(w.sim.Paper()); n != 1 {
			w.t.Errorf("%d prints", n)
		}
	})
}

// An owner that Graph does not name can never release: the job is aborted with
// that reason. The document's name is nowhere.
func TestNoNamesInWhatIsStored(t *testing.T) {
	quiet(t, func(w *world) {
		l := w.live("")
		const secret = "Redundancies 2027.docx"
		_, d := w.print(graphtest.JobSpec{Printer: pullID, Name: secret})
		l.worker.Handle(w.t.Context(), d)
		err := w.bus.Jobs().Each(w.t.Context(), ">", func(_ string, value []byte, _ uint64) error {
			if bytes.Contains(value, []byte("Redundancies")) || bytes.Contains(value, []byte("student@contoso.com")) {
				w.t.Errorf("a name is stored: %s", value)
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	})
}

var _ connector.Graph = (*graph.Client)(nil)
