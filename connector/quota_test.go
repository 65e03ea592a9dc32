package connector_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/connector/evaluate"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/policy"
	"pullprint/policy/policyfile"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

const weekly = `
prices: {page: 1, color: 5}
allowances:
  - {name: all, when: 'true', pages: 20, every: week}
`

// standing is what is on the student's account.
func (w *world) standing(t testing.TB, src string) quota.Balance {
	t.Helper()
	p, err := policyfile.Load("policy.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	budget := p.Budget(policy.Request{User: policy.User{ID: studentID}})
	list, err := ledger.New(w.bus.Quota(), w.bus, rand.Text).Balances(t.Context(), budget.Claims, time.Now())
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	return list[0]
}

// has looks at the student's account in pages.
func (w *world) has(t testing.TB, src string, spent, reserved int) {
	t.Helper()
	b := w.standing(t, src)
	if b.Spent != quota.Amount(spent)*quota.Unit || b.Reserved != quota.Amount(reserved)*quota.Unit {
		t.Errorf("spent %s, reserved %s; want %d, %d", b.Spent, b.Reserved, spent, reserved)
	}
}

func (l *life) sweep(t testing.TB) {
	t.Helper()
	if err := l.sweeper.Sweep(l.ctx); err != nil {
		t.Fatal(err)
	}
}

// A released job is reserved, and spent when its printer has printed it; one that
// is refused says by how much, and the variant that it names is released.
func TestPaidByPages(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	l := w.live("", withPolicy(t, weekly))
	id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 4, Copies: 2, ContentType: "application/pdf"})
	l.worker.Handle(l.ctx, d)
	w.has(t, weekly, 0, 0)
	out, err := l.release.Release(l.ctx, order())
	if err != nil || len(out.Released) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	w.has(t, weekly, 0, 8)
	rec := w.record(id)
	if rec.Pages == nil || rec.Pages.Count != 4 || rec.Decision.Cost != 8*quota.Unit || len(rec.Decision.Accounts) != 1 ||
		rec.Decision.Accounts[0] != studentID {
		t.Errorf("%+v %+v", rec.Pages, rec.Decision)
	}
	l.sweep(t)
	w.has(t, weekly, 8, 0)
	l.sweep(t)
	w.has(t, weekly, 8, 0)

	_, d = w.print(graphtest.JobSpec{Printer: pullID, Pages: 3, Color: true})
	l.worker.Handle(l.ctx, d)
	out, err = l.release.Release(l.ctx, order())
	if err != nil || len(out.Kept) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	k := out.Kept[0]
	if k.Reason.Code != reasons.QuotaExhausted || k.Cost != 15*quota.Unit || k.Variant == nil ||
		k.Variant.ColorMode != "blackAndWhite" || k.Reason.IPP != "account-limit-reached" ||
		!strings.Contains(k.Reason.Text, "costs 15 pages, and you have 12 pages left until ") ||
		k.Reason.Remedy != "In black and white it costs 3 pages of the 12 pages left." {
		t.Errorf("%+v", k)
	}
	o := order()
	o.Set = policy.Settings(*k.Variant)
	if out, err = l.release.Release(l.ctx, o); err != nil || len(out.Released) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	moved, _ := w.sim.Job(graphtest.JobID{Printer: westID, Job: out.Released[0].DestinationJob})
	if moved.Configuration.ColorMode != "blackAndWhite" {
		t.Errorf("printed with %+v", moved.Configuration)
	}
	w.has(t, weekly, 8, 3)
	for _, bad := range []policy.Settings{{ColorMode: "color"}, {Copies: -1}, {MediaSize: "A3"}} {
		o.Set = bad
		if _, err := l.release.Release(l.ctx, o); !errors.Is(err, job.ErrInvalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// A job of a direct queue that is not paid for is aborted when it comes; one that
// is paid for completes, and is spent when it has printed.
func TestPaidAtOnce(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	l := w.live("", withPolicy(t, weekly))
	good, d := w.print(graphtest.JobSpec{Printer: directID, Pages: 20})
	l.worker.Handle(l.ctx, d)
	bad, d := w.print(graphtest.JobSpec{Printer: directID, Pages: 1})
	l.worker.Handle(l.ctx, d)
	if rec := w.record(good); rec.State != job.Completed {
		t.Errorf("%+v", rec)
	}
	j, _ := w.sim.Job(bad)
	if rec := w.record(bad); rec.State != job.Aborted || rec.Decision.Reason != reasons.QuotaExhausted ||
		!strings.Contains(j.Reason, "quota.exhausted") || !strings.Contains(j.Reason, "wait until") {
		t.Errorf("%+v: %s", rec.Decision, j.Reason)
	}
	w.has(t, weekly, 0, 20)
	l.sweep(t)
	w.has(t, weekly, 20, 0)
}

// What becomes of a job at its printer decides what it costs in the end.
func TestSettledByItsEnd(t *testing.T) { bustest.Virtual(t, settledByItsEnd) }

func settledByItsEnd(t *testing.T) {
	const refunds = weekly + "refunds: {aborted: 1, canceled: 0.5}\n"
	k := graphtest.Calm()
	k.PrintTime = 1000 * time.Hour
	w := newWorld(t, bustest.Open(t), k)
	for name, c := range map[string]struct {
		end             func(id graphtest.JobID)
		spent, reserved int
	}{
		"prints still": {func(graphtest.JobID) {}, 0, 4},
		"canceled":     {func(id graphtest.JobID) { _ = w.sim.CancelJob(id) }, 2, 0},
		"aborted": {func(id graphtest.JobID) {
			if err := w.sim.FailJob(id); err != nil {
				t.Error(err)
			}
		}, 0, 0},
		"forgotten": {func(id graphtest.JobID) {
			_ = w.sim.DeleteJob(id)
			time.Sleep(5 * time.Minute)
		}, 4, 0},
	} {
		before := w.standing(t, refunds)
		l := w.live("", withPolicy(t, refunds))
		_, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 4})
		l.worker.Handle(l.ctx, d)
		out, err := l.release.Release(l.ctx, order())
		if err != nil || len(out.Released) != 1 {
			t.Fatalf("%s: %+v, %v", name, out, err)
		}
		at := graphtest.JobID{Printer: westID, Job: out.Released[0].DestinationJob}
		c.end(at)
		l.sweep(t)
		after := w.standing(t, refunds)
		if s, r := after.Spent-before.Spent, after.Reserved-before.Reserved; s != quota.Amount(c.spent)*quota.Unit ||
			r != quota.Amount(c.reserved)*quota.Unit {
			t.Errorf("%s: spent %s, reserved %s more; want %d, %d", name, s, r, c.spent, c.reserved)
		}
		l.end()
	}
}

// lateAt is a Graph that does not know a printer's jobs for a while after each was sent there.
type lateAt struct {
	connector.Graph
	printer string
	until   time.Time
}

func (g *lateAt) Job(ctx context.Context, ref graph.Ref) (graph.Job, error) {
	if ref.Printer == g.printer && time.Now().Before(g.until) {
		return graph.Job{}, &graph.Error{Status: http.StatusNotFound}
	}
	return g.Graph.Job(ctx, ref)
}

// A job that Graph does not know at its printer yet is not taken for one that has ended:
// what it costs is decided by its end.
func TestSettledWhenGraphKnowsTheJob(t *testing.T) {
	for late, spent := range map[time.Duration]int64{10 * time.Second: 0, 2 * time.Minute: 0, time.Hour: 4} {
		bustest.Virtual(t, func(t *testing.T) {
			const refunds = weekly + "refunds: {aborted: 1}\n"
			k := graphtest.Calm()
			k.PrintTime = 1000 * time.Hour
			w := newWorld(t, bustest.Open(t), k)
			l := w.live("", withPolicy(t, refunds), func(d *connector.Deps) {
				d.Graph = &lateAt{Graph: d.Graph, printer: westID, until: time.Now().Add(late)}
			})
			_, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 4})
			l.worker.Handle(l.ctx, d)
			out, err := l.release.Release(l.ctx, order())
			if err != nil || len(out.Released) != 1 {
				t.Fatalf("%+v, %v", out, err)
			}
			if err := w.sim.FailJob(graphtest.JobID{Printer: westID, Job: out.Released[0].DestinationJob}); err != nil {
				t.Fatal(err)
			}
			for range 10 {
				l.sweep(t)
				time.Sleep(time.Minute)
			}
			if s := w.standing(t, refunds); s.Spent != quota.Amount(spent)*quota.Unit || s.Reserved != 0 {
				t.Errorf("known after %v: spent %s, reserved %s; want %d", late, s.Spent, s.Reserved, spent)
			}
		})
	}
}

// A job that is paid for when it comes gives all back when it is canceled, or is
// not released.
func TestPaidAtArrival(t *testing.T) {
	const early = "reserve: arrival\n" + weekly
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	l := w.live("", withPolicy(t, early))
	first, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 15})
	l.worker.Handle(l.ctx, d)
	l.worker.Handle(l.ctx, d)
	w.has(t, early, 0, 15)
	second, d2 := w.print(graphtest.JobSpec{Printer: pullID, Pages: 6})
	l.worker.Handle(l.ctx, d2)
	if rec := w.record(second); rec.State != job.Aborted || rec.Decision.Reason != reasons.QuotaExhausted {
		t.Errorf("%+v", rec.Decision)
	}
	l.sweep(t)
	w.has(t, early, 0, 15)
	if _, err := l.release.Cancel(l.ctx, release.Cancellation{Key: w.recordKey(first), Actor: "admin"}); err != nil {
		t.Fatal(err)
	}
	w.has(t, early, 0, 0)
	third, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 20})
	l.worker.Handle(l.ctx, d)
	w.has(t, early, 0, 20)
	out, err := l.release.Release(l.ctx, order()) // its own reservation does not stand in its way
	if err != nil || len(out.Released) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	l.sweep(t)
	w.has(t, early, 20, 0)
	if rec := w.record(third); rec.State != job.Released {
		t.Error(rec.State)
	}
}

func (w *world) recordKey(id graphtest.JobID) string {
	rec := w.record(id)
	return rec.Key()
}

// Wherever the process dies, a job that printed is paid for once, one that did
// not is not paid for, and no reservation is left.
func TestChargedOnceThroughAnyCrash(t *testing.T) {
	racetest.Skip(t, "one death after the other")
	for m, mode := range []string{pullID, directID} {
		for e, early := range []string{"", "reserve: arrival\n"} {
			for n, spot := range append([]string{"before account", "after account"}, tapSpots...) {
				for i, again := range []string{"again", "sweep"} {
					if *schedules == 0 && (n+i+m+2*e)%4 != 0 {
						continue // in the long proof; each spot is in one or two of the six ways
					}
					if mode == directID && early != "" {
						continue
					}
					name := strings.Join([]string{
						map[string]string{pullID: "pull", directID: "direct"}[mode],
						strings.TrimSpace(early), spot, again,
					}, "/")
					t.Run(name, func(t *testing.T) {
						bustest.Virtual(t, func(t *testing.T) { chargedOnce(t, mode, early+weekly, spot, again) })
					})
				}
			}
		}
	}
}

func chargedOnce(t *testing.T, queue, src, spot, again string) {
	k := graphtest.Calm()
	k.TaskMemory = time.Millisecond
	w := newWorld(t, bustest.Open(t), k)
	change := withPolicy(t, src)
	id, d := w.print(graphtest.JobSpec{Printer: queue, Pages: 7})
	if queue == pullID && !strings.HasPrefix(src, "reserve") {
		l := w.live("", change)
		l.worker.Handle(l.ctx, d)
		l.end()
	}
	for i, s := range []string{spot, "", ""} {
		l := w.live(s, change)
		if i > 0 && again == "sweep" {
			time.Sleep(2 * time.Minute) // virtual: who died is taken for dead, orphans are looked at
			l.sweep(t)
		}
		if queue == directID || strings.HasPrefix(src, "reserve") {
			l.worker.Handle(l.ctx, d)
		}
		if queue == pullID && (i == 0 || again == "again") {
			_, _ = l.release.Release(l.ctx, order())
		}
		l.end()
	}
	l := w.live("", change)
	for range 2 {
		time.Sleep(2 * time.Minute)
		l.sweep(t)
	}
	j, _ := w.sim.Job(id)
	n := j.Effects.RedirectApplied + j.Effects.FinishApplied
	printed := w.sim.Prints(id)
	if n > 1 || printed > 1 || j.Effects.RedirectRefused+j.Effects.FinishRefused > 0 {
		t.Errorf("%+v, printed %d times", j.Effects, printed)
	}
	rec := w.record(id)
	switch {
	case printed == 1:
		w.has(t, src, 7, 0)
	case rec.Charge != nil && rec.Charge.AtArrival && rec.State == job.Held:
		w.has(t, src, 0, 7)
	default:
		w.has(t, src, 0, 0)
	}
	if (queue == directID || again == "again") && printed != 1 {
		t.Errorf("not printed: record %s %+v", rec.State, rec.Trail)
	}
}

// 32 jobs, several lives of the process on one store, and budget for five: five
// print, whoever asks, and the rest say why not.
func TestLastPages(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	change := withPolicy(t, strings.Replace(weekly, "20", "5", 1))
	notSole := func(d *connector.Deps) { d.Sole = false }
	first := w.live("", change, notSole)
	for range 32 {
		_, d := w.print(graphtest.JobSpec{Printer: pullID})
		first.worker.Handle(first.ctx, d)
	}
	lives := []*life{first, w.live("", change, notSole), w.live("", change, notSole)}
	var all sync.WaitGroup
	var mu sync.Mutex
	released, exhausted := map[graph.Ref]bool{}, 0
	for i := range 6 {
		all.Go(func() {
			out, err := lives[i%3].release.Release(t.Context(), order())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, r := range out.Released {
				released[r.Ref] = true
			}
			for _, k := range out.Kept {
				if k.Reason.Code == reasons.QuotaExhausted {
					exhausted++
				}
			}
		})
	}
	all.Wait()
	paper := 0
	for _, j := range w.sim.Jobs(westID) {
		_ = j
		paper++
	}
	if len(released) != 5 || paper != 5 || exhausted == 0 {
		t.Errorf("%d released, %d printed, %d times exhausted", len(released), paper, exhausted)
	}
	lives[1].sweep(t)
	w.has(t, strings.Replace(weekly, "20", "5", 1), 5, 0)
}

// shaky is Graph with a directory that is out of reach.
type shaky struct {
	connector.Graph
	err *error
}

func (s shaky) Groups(ctx context.Context, user string) ([]graph.Group, error) {
	if *s.err != nil {
		return nil, *s.err
	}
	return s.Graph.Groups(ctx, user)
}

// Without the directory a job is held or goes on as the file says, and is decided
// when the groups can be told, at the latest when its owner wants it. Groups that
// were told before are used, and their age is in the audit.
func TestDirectoryOutOfReach(t *testing.T) {
	const src = `
rules:
  - name: students
    at: arrival
    when: '"students" in user.groups && job.copies > 2'
    verdict: abort
    reason: copies.no
    text: No.
    remedy: Fewer.
`
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		down := errors.New("the directory is down")
		out := down
		off := func(d *connector.Deps) { d.Graph = shaky{d.Graph, &out} }
		for mode, want := range map[string]string{
			"": "hold directory.unavailable", "allow": "hold ",
			"abort": "abort directory.unavailable",
		} {
			body := src
			if mode != "" {
				body = "unknown: {directory: " + mode + "}\n" + src
			}
			l := w.live("", withPolicy(t, body), off)
			id, d := w.print(graphtest.JobSpec{Printer: pullID, Copies: 3})
			l.worker.Handle(l.ctx, d)
			rec := w.record(id)
			dec := rec.Decision
			if got := dec.Verdict + " " + dec.Reason; got != want || len(dec.Unknown) != 1 || dec.Unknown[0].Dependency != "directory" ||
				len(dec.Input.Missing) != 1 {
				t.Errorf("%q: %s, %+v", mode, got, dec)
			}
			l.end()
			if mode != "" {
				continue
			}
			l = w.live("", withPolicy(t, body), off)
			kept, err := l.release.Release(l.ctx, order())
			if err != nil || len(kept.Kept) != 1 || kept.Kept[0].Reason.Code != reasons.DirectoryUnavailable {
				t.Errorf("%+v, %v", kept, err)
			}
			out = nil
			aborted, err := l.release.Release(l.ctx, order())
			if err != nil || len(aborted.Aborted) != 1 || aborted.Aborted[0].Reason.Code != "copies.no" {
				t.Errorf("%+v, %v", aborted, err)
			}
			out = down
			l.end()
		}
		l := w.live("", withPolicy(t, src), off)
		out = nil
		_, d := w.print(graphtest.JobSpec{Printer: pullID})
		l.worker.Handle(l.ctx, d)
		time.Sleep(20 * time.Minute) // virtual
		out = down
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Copies: 3})
		l.worker.Handle(l.ctx, d)
		if rec := w.record(id); rec.Decision.Reason != "copies.no" || rec.Decision.Input.GroupsAge < 1200 {
			t.Errorf("%+v", rec.Decision)
		}
	})
}

// A job that waits for the directory is decided by the sweep when it is back.
func TestDecidedLater(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		out := errors.New("the directory is down")
		const src = `rules: [{
  name: students, at: arrival, when: '"students" in user.groups', verdict: abort, reason: students.no, text: No., remedy: Ask.}]`
		l := w.live("", withPolicy(t, src), func(d *connector.Deps) { d.Graph = shaky{d.Graph, &out} })
		id, d := w.print(graphtest.JobSpec{Printer: pullID})
		l.worker.Handle(l.ctx, d)
		out = nil
		time.Sleep(2 * time.Minute)
		l.sweep(t) // it feeds the task again
		fed := false
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for !w.record(id).State.Final() {
				time.Sleep(time.Second)
			}
			fed = true
			cancel()
		}()
		_ = w.bus.Consume(ctx, 4, l.worker.Handle)
		if rec := w.record(id); !fed || rec.State != job.Aborted || rec.Decision.Reason != "students.no" {
			t.Errorf("%s %+v", rec.State, rec.Decision)
		}
	})
}

// What can't be counted is kept, estimated or let go, as the file says.
func TestPagesUnknown(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	broken := func(d *connector.Deps) {
		d.Pages = func(context.Context, graph.Ref, graph.Document) (int, error) { return 0, errors.New("encrypted") }
	}
	for head, want := range map[string]string{
		"": "kept pages.unknown 0", "unknown: {pages: allow}\n": "released  0", "unknown: {pages: abort}\n": "aborted pages.unknown 0",
		"bytes_per_page: 10_000\n": "released  3", "pages: metadata-only\n": "kept pages.unknown 0",
		"pages: metadata-only\nbytes_per_page: 30_000\n": "released  1",
	} {
		l := w.live("", withPolicy(t, head+weekly), broken)
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Size: 30_000})
		l.worker.Handle(l.ctx, d)
		o := order()
		o.Jobs = []graph.Ref{graph.Ref(id)}
		out, err := l.release.Release(l.ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for word, list := range map[string][]release.Refused{"kept": out.Kept, "aborted": out.Aborted} {
			for _, k := range list {
				got = fmt.Sprintf("%s %s %s", word, k.Reason.Code, k.Cost)
			}
		}
		if len(out.Released) == 1 {
			got = "released  " + w.record(id).Decision.Cost.String()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", head, got, want)
		}
		l.end()
	}
}

// A policy beside the one in force is asked the same, recorded, and decides
// nothing.
func TestNextPolicy(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	next, err := policyfile.Load("next.yaml", []byte(strings.Replace(weekly, "20", "2", 1)))
	if err != nil {
		t.Fatal(err)
	}
	l := w.live("", withPolicy(t, weekly), func(d *connector.Deps) { d.Next = func() *policy.Policy { return next } })
	id, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3})
	l.worker.Handle(l.ctx, d)
	if rec := w.record(id); rec.Decision.Shadow != nil {
		t.Errorf("both hold it: %+v", rec.Decision.Shadow)
	}
	out, err := l.release.Release(l.ctx, order())
	if err != nil || len(out.Released) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	s := w.record(id).Decision.Shadow
	if s == nil || s.Verdict != "keep" || s.Reason != reasons.QuotaExhausted || s.Policy != next.Hash() || s.Cost != 3*quota.Unit {
		t.Errorf("%+v", s)
	}
	w.has(t, weekly, 0, 3)
}

// The station tells what jobs cost, what is left and what would be paid for,
// before anything is released.
func TestQuotes(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	l := w.live("", withPolicy(t, weekly))
	for _, spec := range []graphtest.JobSpec{{Printer: pullID, Pages: 2}, {Printer: pullID, Pages: 5, Color: true}} {
		_, d := w.print(spec)
		l.worker.Handle(l.ctx, d)
	}
	calls := w.sim.Calls("getJob")
	quotes, purses, err := l.release.Quotes(l.ctx, studentID, "hq-2-west")
	if err != nil || len(quotes) != 2 || len(purses) != 1 {
		t.Fatalf("%+v, %+v, %v", quotes, purses, err)
	}
	if quotes[0].Price != "2 pages" || quotes[0].Verdict != "redirect" || quotes[1].Price != "25 pages" || quotes[1].Verdict != "keep" ||
		quotes[1].Variant == nil || purses[0].Left != "20 pages" {
		t.Errorf("%+v\n%+v", quotes, purses)
	}
	if n := w.sim.Calls("getJob") - calls; n != 0 {
		t.Errorf("%d calls", n)
	}
	s, err := l.evaluator.AccountStatus(l.ctx, quota.Account{Kind: quota.User, Name: studentID})
	if err != nil || len(s.Balances) != 1 || s.Balances[0].Left != 20*quota.Unit {
		t.Errorf("%+v, %v", s, err)
	}
}

// Recorded decisions are decided again by the file in force as they were, and by
// another as it says; what the record lacks is said to be undecided.
func TestReplay(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	l := w.live("", withPolicy(t, weekly))
	for i := range 6 {
		_, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3, Color: i == 5})
		l.worker.Handle(l.ctx, d)
	}
	if _, err := l.release.Release(l.ctx, order()); err != nil {
		t.Fatal(err)
	}
	replay := func(src string) *evaluate.Replayed {
		p, err := policyfile.Load("p", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		r := evaluate.NewReplay(p)
		for _, d := range w.audit(t) {
			r.Add(&d)
			r.Add(&d)
		}
		return r.Run()
	}
	same := replay(weekly)
	if same.Decisions != 12 || same.Same != 12 || same.Cost != 15*quota.Unit {
		t.Errorf("%+v", same)
	}
	if tight := replay(strings.Replace(weekly, "20", "7", 1)); len(tight.Refused) != 3 || tight.Cost != 6*quota.Unit {
		t.Errorf("%+v", tight)
	}
	if wide := replay(strings.Replace(weekly, "20", "100", 1)); len(wide.Released) != 1 || wide.Cost != 30*quota.Unit {
		t.Errorf("%+v", wide)
	}
	noColor := replay(strings.Replace(weekly, "20", "100", 1) +
		"rules: [{name: c, at: arrival, when: job.color, verdict: abort, reason: a.b, text: a, remedy: b}]")
	if len(noColor.Refused) != 1 || len(noColor.Released) != 0 || noColor.Skipped != 1 || noColor.Cost != 15*quota.Unit {
		t.Errorf("a job that is aborted when it comes is not released: %+v", noColor)
	}
	groups := replay(`rules: [{name: g, at: arrival, when: '"a" in user.groups', verdict: abort, reason: a.b, text: a, remedy: b}]`)
	if len(groups.Undecided) != 6 || len(groups.Released) != 1 {
		t.Errorf("%d undecided, %d released", len(groups.Undecided), len(groups.Released))
	}
}

// meddling is Graph that lets something else happen right before a redirect.
type meddling struct {
	connector.Graph
	first func()
}

func (m meddling) RedirectJob(ctx context.Context, ref graph.Ref, destination string, settings json.RawMessage) (graph.Ref, error) {
	m.first()
	return m.Graph.RedirectJob(ctx, ref, destination, settings)
}

// A sweep elsewhere leaves the reservation of a job alone that is on its way.
func TestSweepWhileReleasing(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	notSole := func(d *connector.Deps) { d.Sole = false }
	other := w.live("", withPolicy(t, weekly), notSole)
	l := w.live("", withPolicy(t, weekly), notSole, func(d *connector.Deps) {
		d.Graph = meddling{d.Graph, func() { w.has(t, weekly, 0, 3); other.sweep(t); w.has(t, weekly, 0, 3) }}
	})
	_, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3})
	l.worker.Handle(l.ctx, d)
	if out, err := l.release.Release(l.ctx, order()); err != nil || len(out.Released) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	w.has(t, weekly, 0, 3)
}

// blind is Graph that can't tell the state of printers.
type blind struct{ connector.Graph }

func (blind) Printer(context.Context, string) (graph.Printer, error) {
	return graph.Printer{}, errors.New("not now")
}

// When nobody knows whether the printer can take a job, the policy says what
// becomes of it.
func TestDeviceOutOfReach(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	for mode, want := range map[string]string{
		"hold": "kept device.unavailable", "allow": "released ",
		"abort": "aborted device.unavailable",
	} {
		l := w.live("", withPolicy(t, "unknown: {device: "+mode+"}"), func(d *connector.Deps) { d.Graph = blind{d.Graph} })
		id, d := w.print(graphtest.JobSpec{Printer: pullID})
		l.worker.Handle(l.ctx, d)
		o := order()
		o.Jobs = []graph.Ref{graph.Ref(id)}
		out, err := l.release.Release(l.ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for word, list := range map[string][]release.Refused{"kept": out.Kept, "aborted": out.Aborted} {
			for _, k := range list {
				got = word + " " + k.Reason.Code
			}
		}
		if len(out.Released) == 1 {
			got = "released "
		}
		var unknown []decision.Unknown
		for _, d := range w.audit(t) {
			if d.Ref == graph.Ref(id) && d.Point == "release" {
				unknown = d.Unknown
			}
		}
		if got != want || len(unknown) != 1 || unknown[0] != (decision.Unknown{Dependency: "device", Mode: mode}) {
			t.Errorf("%s: %s, %+v", mode, got, unknown)
		}
		l.end()
	}
}
