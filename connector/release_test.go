package connector_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/connector/delegation"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/connector/release"
	"pullprint/policy"
	"pullprint/policy/policyfile"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// Where a process can die between a tap and its answer, in the order in which
// it gets there.
var tapSpots = []string{
	"before audit", "after audit", "before intent", "after intent", "before call", "after call",
	"before redirect audit", "after redirect audit", "before outcome", "after outcome", "the end",
}

// TestOnePaperThroughAnyCrash kills the process at each spot between tap and
// outcome, and at each pair of spots in two lives. Afterwards the owner taps
// again, or only the sweep looks. Graph must see one redirect asked for, or none
// when the process died before the intent and nobody tapped again; there is one
// decision to redirect per paper; the record tells the end.
func TestOnePaperThroughAnyCrash(t *testing.T) {
	racetest.Skip(t, "one death after the other")
	k := graphtest.Calm()
	k.TaskMemory, k.TaskPage = time.Millisecond, 1000
	w := newWorld(t, bustest.Open(t), k)
	tasks := map[string]string{}
	live := func(again string, deaths ...string) {
		t.Run(strings.Join(append([]string{again}, deaths...), "/"), func(t *testing.T) {
			id := w.hold()
			for i, spot := range append(deaths, "") {
				l := w.live(spot)
				if i > 0 && again == "sweep" {
					_ = l.sweeper.Sweep(l.ctx) // fails in a life that dies
				}
				if i == 0 || again == "tap" {
					_, _ = l.release.Release(l.ctx, order())
				}
				l.end()
			}
			tasks[w.task(id)] = t.Name()
			j, _ := w.sim.Job(id)
			rec := w.record(id)
			n := j.Effects.RedirectApplied + j.Effects.RedirectRefused
			early := again == "sweep" && (strings.HasSuffix(deaths[0], " audit") && !strings.Contains(deaths[0], "redirect") ||
				deaths[0] == "before intent")
			switch {
			case early && (n != 0 || rec.State != job.Held):
				t.Errorf("nobody stands there: %d redirects, record %s", n, rec.State)
			case !early && (n != 1 || rec.State != job.Released):
				t.Errorf("%d redirects asked for, record %s: %+v", n, rec.State, rec.Trail)
			case !early && (rec.Release.Job != j.RedirectedTo.Job || rec.Release.Printer != westID || rec.Release.Job == ""):
				t.Errorf("released to %+v, redirected to %v", rec.Release, j.RedirectedTo)
			}
			if early { // let it not wait for the next one's tap
				tapAgain(t, w)
			}
		})
	}
	for n, first := range tapSpots {
		live("tap", first)
		live("sweep", first)
		for i, second := range tapSpots {
			if pair(n, i) {
				live([]string{"tap", "sweep"}[i%2], first, second)
			}
		}
	}
	redirects := map[string]int{}
	for _, d := range w.audit(t) {
		if d.Verdict == "redirect" {
			redirects[d.Task]++
		}
	}
	for task, name := range tasks {
		if n := redirects[task]; n != 1 {
			t.Errorf("%s: %d decisions to redirect in the audit, want 1", name, n)
		}
	}
	if wrong := w.sim.Audit(); len(wrong) > 0 {
		t.Errorf("universal print saw: %v", wrong)
	}
}

func tapAgain(t *testing.T, w *world) release.Outcome {
	t.Helper()
	l := w.live("")
	defer l.end()
	out, err := l.release.Release(l.ctx, order())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// 64 taps of one owner at once, in two processes on one store: each job comes
// out once, and every tap is told so.
func TestManyTapsAtOnce(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	ids := []graphtest.JobID{w.hold(), w.hold(), w.hold()}
	notSole := func(d *connector.Deps) { d.Sole = false }
	lives := []*life{w.live("", notSole), w.live("", notSole)}
	var taps errgroup.Group
	var mu sync.Mutex
	told := map[string]int{}
	for i := range 64 {
		taps.Go(func() error {
			out, err := lives[i%2].release.Release(t.Context(), order())
			mu.Lock()
			defer mu.Unlock()
			for _, r := range out.Released {
				told[r.Job]++
			}
			for _, k := range out.Kept {
				t.Errorf("kept: %+v", k)
			}
			return err
		})
	}
	if err := taps.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		job, _ := w.sim.Job(id)
		if n := job.Effects.RedirectApplied + job.Effects.RedirectRefused; n != 1 {
			t.Errorf("job %v: %d redirects asked for", id, n)
		}
		if told[id.Job] == 0 {
			t.Errorf("no tap was told of job %v", id)
		}
	}
}

// What keeps a job from its printer, and what its owner is told.
func TestKeptReleases(t *testing.T) {
	for name, c := range map[string]struct {
		before func(w *world)
		policy string
		code   string
		remedy string
	}{
		"stopped": {func(w *world) { w.setPrinter(westID, "stopped", true) }, "rules: []", reasons.DeviceUnavailable, "hq-2-east"},
		"refuses": {func(w *world) { w.setPrinter(westID, "idle", false) }, "rules: []", reasons.DeviceUnavailable, "hq-2-east"},
		"all stopped": {
			func(w *world) {
				w.setPrinter(westID, "stopped", true)
				w.setPrinter(eastID, "stopped",
					true)
			}, "rules: []", reasons.DeviceUnavailable,
			"another printer",
		},
		"policy": {
			nil, `rules: [{name: night, at: release, when: 'true', verdict: keep, reason: hours.closed, remedy: Release it after 06:00.}]`,
			"hours.closed", "after 06:00",
		},
		"broken policy": {
			nil, `rules: [{name: broken, at: release, when: '1 / (job.copies - 1) > 0', verdict: redirect}]`, reasons.PolicyError, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, bustest.Open(t), graphtest.Calm())
			id := w.hold()
			if c.before != nil {
				c.before(w)
			}
			l := w.live("", withPolicy(t, c.policy))
			out, err := l.release.Release(t.Context(), order())
			if err != nil || len(out.Kept) != 1 || len(out.Released)+len(out.Aborted) != 0 {
				t.Fatalf("%+v, %v", out, err)
			}
			got := out.Kept[0]
			if got.Ref != graph.Ref(id) || got.Reason.Code != c.code || got.Reason.Text == "" ||
				!strings.Contains(got.Reason.Remedy, c.remedy) ||
				got.Reason.Remedy == "" {
				t.Errorf("%+v", got)
			}
			if rec := w.record(id); rec.State != job.Held || rec.HoldUntil.IsZero() {
				t.Errorf("record %s until %s", rec.State, rec.HoldUntil)
			}
			kept := 0
			for _, d := range w.audit(t) {
				if d.Verdict == "keep" && d.Point == "release" && d.Device == "hq-2-west" && d.Reason == c.code {
					kept++
				}
			}
			if kept != 1 {
				t.Errorf("%d decisions to keep in the audit, want 1", kept)
			}
		})
	}
}

func withPolicy(t testing.TB, src string) func(*connector.Deps) {
	t.Helper()
	p, err := policyfile.Load("policy.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return func(d *connector.Deps) { d.Policy = func() *policy.Policy { return p } }
}

// A printer that Graph does not know takes no job, and is suggested to nobody.
func TestUnknownPrinter(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	id := w.hold()
	ghosts := []printer.Device{{ID: "ghost", PrinterID: "00000000-dead-4bee-8000-000000000000", Queues: []string{"Follow-Me"}}, devices[0]}
	r := w.live("", func(d *connector.Deps) { d.Devices = ghosts }).release
	o := order()
	o.Device = "ghost"
	out, err := r.Release(t.Context(), o)
	if err != nil || len(out.Kept) != 1 || out.Kept[0].Reason.Code != reasons.DeviceUnavailable ||
		!strings.Contains(out.Kept[0].Reason.Remedy, "Go to hq-2-west:") {
		t.Errorf("%+v, %v", out, err)
	}
	w.setPrinter(westID, "stopped", true)
	o.Device = "hq-2-west"
	if out, err = r.Release(t.Context(), o); err != nil || len(out.Kept) != 1 || strings.Contains(out.Kept[0].Reason.Remedy, "ghost") {
		t.Errorf("%+v, %v", out, err)
	}
	o.Device = "none"
	if _, err = r.Release(t.Context(), o); !errors.Is(err, release.ErrNoDevice) {
		t.Errorf("a device that is not configured: %v", err)
	}
	if rec := w.record(id); rec.State != job.Held {
		t.Errorf("record is %s", rec.State)
	}
}

// A rule at release can abort, with its reason.
func TestAbortAtRelease(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	id := w.hold()
	l := w.live("", withPolicy(t,
		`rules: [{name: stop, at: release, when: 'true', verdict: abort, reason: not.here, text: 'Not here.', remedy: Print less.}]`))
	out, err := l.release.Release(t.Context(), order())
	if err != nil || len(out.Aborted) != 1 || out.Aborted[0].Reason.Code != "not.here" || out.Aborted[0].Reason.Remedy != "Print less." {
		t.Fatalf("%+v, %v", out, err)
	}
	if job, _ := w.sim.Job(id); job.Effects.AbortApplied != 1 || !strings.Contains(job.Reason, "Not here. Print less.") {
		t.Errorf("%+v %q", job.Effects, job.Reason)
	}
}

// Invariant 3: what a record says of its owner is not enough, Graph must say so
// too; and a job ended elsewhere is gone, not kept.
func TestPaperOnlyForItsOwner(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	stolen, canceled, deleted := w.hold(), w.hold(), w.hold()
	l := w.live("")
	// a record that names another owner than the job has
	rec := w.record(stolen)
	rec.Owner = strangerID
	if _, ok, err := job.NewStore(w.bus.Jobs(), job.DefaultRetention).Put(t.Context(), &rec, 0); err != nil || !ok {
		t.Fatal(ok, err)
	}
	o := order()
	o.Owner = strangerID
	out, err := l.release.Release(t.Context(), o)
	if err != nil || len(out.Released) != 0 || len(out.Kept) != 1 || out.Kept[0].Reason.Code != reasons.OwnerUnknown {
		t.Errorf("%+v, %v", out, err)
	}
	if job, _ := w.sim.Job(stolen); job.Effects.Applied() != 0 {
		t.Errorf("paper for a stranger: %+v", job.Effects)
	}
	if err := errors.Join(w.sim.CancelJob(canceled), w.sim.DeleteJob(deleted)); err != nil {
		t.Fatal(err)
	}
	out, err = l.release.Release(t.Context(), order())
	if err != nil || len(out.Released) != 1 || len(out.Kept) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	for _, id := range []graphtest.JobID{canceled, deleted} {
		if rec := w.record(id); rec.State != job.Gone {
			t.Errorf("record of a job that ended elsewhere is %s", rec.State)
		}
	}
}

// An owner lets another release for a time: the other's badge moves the
// owner's paper, the audit says who, and not afterwards.
func TestDelegation(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	w.hold()
	l := w.live("")
	o := order()
	o.Owner = strangerID
	if out, err := l.release.Release(t.Context(), o); err != nil || !out.Empty() || out.Owner != "" {
		t.Fatalf("without a delegation: %+v, %v", out, err)
	}
	ds := delegation.New(w.bus.State())
	now := time.Now()
	d := delegation.Delegation{Owner: studentID, To: strangerID, Since: now, Expires: now.Add(time.Hour), By: "helpdesk"}
	if err := ds.Put(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if owners, err := ds.Of(t.Context(), strangerID, now.Add(2*time.Hour)); err != nil || len(owners) != 0 {
		t.Errorf("after its end: %v, %v", owners, err)
	}
	out, err := l.release.Release(t.Context(), o)
	if err != nil || len(out.Released) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	found := false
	for _, a := range w.audit(t) {
		found = found || (a.Verdict == "redirect" && a.Owner == studentID && a.Actor == strangerID && a.Device == "hq-2-west")
	}
	if !found {
		t.Error("the audit does not say who released whose job")
	}
	if ok, err := ds.Remove(t.Context(), studentID, strangerID); err != nil || !ok {
		t.Errorf("remove: %t, %v", ok, err)
	}
	w.hold()
	if out, err := l.release.Release(t.Context(), o); err != nil || !out.Empty() {
		t.Errorf("after its removal: %+v, %v", out, err)
	}
	for _, bad := range []delegation.Delegation{
		{Owner: studentID, To: studentID, Since: now, Expires: now.Add(time.Hour)},
		{Owner: studentID, To: strangerID, Since: now, Expires: now},
		{Owner: studentID, To: strangerID, Since: now, Expires: now.Add(delegation.MaxLength + time.Hour)},
		{Owner: "a.>", To: strangerID, Since: now, Expires: now.Add(time.Hour)},
	} {
		if err := ds.Put(t.Context(), bad); !errors.Is(err, job.ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// A redirect that Graph surely did not make leaves the job held until its time,
// says why, and can be tried again.
func TestRefusedRedirectIsHeldAgain(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	id := w.hold()
	until := w.record(id).HoldUntil
	refuseRedirects(w, 1)
	out := tapAgain(t, w)
	if len(out.Kept) != 1 || out.Kept[0].Reason.Code != reasons.DeviceUnavailable {
		t.Errorf("%+v", out)
	}
	rec := w.record(id)
	if rec.State != job.Held || !rec.HoldUntil.Equal(until) || rec.Decision.Verdict != "keep" {
		t.Errorf("%s until %s, want %s: %+v", rec.State, rec.HoldUntil, until, rec.Decision)
	}
	if out := tapAgain(t, w); len(out.Released) != 1 {
		t.Errorf("second tap: %+v", out)
	}
}

// refuseRedirects makes Graph say no to the next n redirects.
func refuseRedirects(w *world, n int32) {
	var left atomic.Int32
	left.Store(n)
	w.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(_ string, r graphtest.Request) graphtest.Fault {
			if strings.HasSuffix(r.Path, "/redirect") && left.Add(-1) >= 0 {
				return graphtest.Fault{Refuse: http.StatusBadRequest}
			}
			return graphtest.Fault{}
		}
	})
}

// A process that died between intent and call leaves no paper for whoever
// passes by later: the job is held again.
func TestLateResumeMovesNoPaper(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	id := w.hold()
	l := w.live("before call")
	o := order()
	o.At = time.Now().Add(-time.Minute)
	_, _ = l.release.Release(l.ctx, o)
	l.end()
	if rec := w.record(id); rec.State != job.Releasing {
		t.Fatalf("record is %s", rec.State)
	}
	l = w.live("")
	if err := l.sweeper.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rec := w.record(id); rec.State != job.Held || rec.HoldUntil.IsZero() {
		t.Errorf("record is %s until %s", rec.State, rec.HoldUntil)
	}
	if job, _ := w.sim.Job(id); job.Effects.Applied() != 0 {
		t.Errorf("paper without its owner: %+v", job.Effects)
	}
}

// A redirect that took effect although it was taken for not made is found by
// the sweep, and told as what it is.
func TestLateRedirectIsReleased(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	id := w.hold()
	refuseRedirects(w, 1)
	tapAgain(t, w)
	c := w.client(w.sim.Transport())
	made, err := c.RedirectJob(t.Context(), graph.Ref(id), westID, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := w.live("")
	if err := l.sweeper.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rec := w.record(id); rec.State != job.Released || rec.Release.Job != made.Job || rec.Decision.Verdict != "redirect" {
		t.Errorf("%s %+v %+v", rec.State, rec.Release, rec.Decision)
	}
}

// Graph does not answer: nothing moves, the owner is told within seconds, and a
// later tap works.
func TestTapWhileGraphIsAway(t *testing.T) {
	quiet(t, func(w *world) {
		id := w.hold()
		l := w.live("", func(d *connector.Deps) { d.Graph = answered{w.client(noWire{})} })
		start := time.Now()
		out, err := l.release.Release(w.t.Context(), order())
		if err != nil || len(out.Kept) != 1 || out.Kept[0].Reason.Code != reasons.GraphUnavailable {
			w.t.Errorf("%+v, %v", out, err)
		}
		if took := time.Since(start); took > 10*time.Second {
			w.t.Errorf("the owner stood there for %s", took)
		}
		if rec := w.record(id); rec.State != job.Held {
			w.t.Errorf("record is %s", rec.State)
		}
		l = w.live("")
		if out, err := l.release.Release(w.t.Context(), order()); err != nil || len(out.Released) != 1 {
			w.t.Errorf("later: %+v, %v", out, err)
		}
	})
}

// noWire refuses every connection.
type noWire struct{}

func (noWire) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("dial: %w", errKilled)
}

func TestCancel(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	byOwner, byAdmin := w.hold(), w.hold()
	l := w.live("")
	key := func(id graphtest.JobID) string { return job.Key(studentID, graph.Ref(id)) }
	if _, err := l.release.Cancel(t.Context(), release.Cancellation{Key: key(byOwner), Owner: strangerID}); !errors.Is(err,
		release.ErrNoJob) {
		t.Errorf("a stranger cancels: %v", err)
	}
	_, err := l.release.Cancel(t.Context(), release.Cancellation{Key: key(byOwner), Note: "a\nb"})
	if !errors.Is(err, job.ErrInvalid) {
		t.Errorf("two lines: %v", err)
	}
	for n, want := range map[int]error{300: nil, 301: job.ErrInvalid} {
		if err := (release.Cancellation{Note: strings.Repeat("ü", n)}).Check(); !errors.Is(err, want) {
			t.Errorf("a note of %d characters: %v, want %v", n, err, want)
		}
	}
	for id, c := range map[graphtest.JobID]struct {
		release.Cancellation
		code, words string
	}{
		byOwner: {release.Cancellation{Key: key(byOwner), Owner: studentID}, reasons.CanceledByOwner, "canceled by its owner"},
		byAdmin: {release.Cancellation{
			Key: key(byAdmin), Actor: "helpdesk", Note: "out of paper",
		}, reasons.CanceledByAdmin, "administrator: out of paper"},
	} {
		rec, err := l.release.Cancel(t.Context(), c.Cancellation)
		if err != nil || rec.State != job.Aborted || rec.Decision.Reason != c.code || rec.Decision.Actor != c.Actor {
			t.Errorf("%+v, %v", rec, err)
		}
		if job, _ := w.sim.Job(id); job.Effects.AbortApplied != 1 || !strings.Contains(job.Reason, c.words) {
			t.Errorf("%+v %q", job.Effects, job.Reason)
		}
		if _, err := l.release.Cancel(t.Context(), c.Cancellation); !errors.Is(err, release.ErrNotHeld) {
			t.Errorf("a second time: %v", err)
		}
	}
}

// A policy in shadow refuses nothing; the audit says what it would have done.
func TestShadow(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	l := w.live("", withPolicy(t, `shadow: true
rules:
  - {name: none, at: arrival, when: 'true', verdict: abort, reason: not.today, text: Not today., remedy: Tomorrow.}
  - {name: elsewhere, at: release, when: 'device.id == "hq-2-west"', verdict: keep, reason: not.here, remedy: Elsewhere.}
`))
	id, d := w.print(graphtest.JobSpec{Printer: pullID})
	l.worker.Handle(l.ctx, d)
	if rec := w.record(id); rec.State != job.Held {
		t.Fatalf("record is %s", rec.State)
	}
	out, err := l.release.Release(t.Context(), order())
	if err != nil || len(out.Released) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	got := map[string]decision.Shadow{}
	for _, a := range w.audit(t) {
		if a.Shadow != nil {
			got[a.Verdict] = *a.Shadow
		}
	}
	if s := got["hold"]; s.Verdict != "abort" || s.Reason != "not.today" || s.Rule != "none" || s.Remedy != "Tomorrow." {
		t.Errorf("arrival: %+v", s)
	}
	if s := got["redirect"]; s.Verdict != "keep" || s.Reason != "not.here" || s.Rule != "elsewhere" {
		t.Errorf("release: %+v", s)
	}
}

// What rules set goes with the redirect, over everything else the job has; what
// a rule at arrival set of a held job, too.
func TestSetAtRelease(t *testing.T) {
	for _, spot := range []string{"", "before call", "after call", "after intent"} {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		rewriting := withPolicy(t, `
rules:
  - {name: paper, at: arrival, when: 'true', set: {mediaSize: A5, copies: 9}}
  - {name: mono, at: release, when: 'job.copies == 9 && job.mediaSize == "A5"', set: {colorMode: blackAndWhite, copies: 1}}
  - {name: kept, at: release, when: 'job.color', verdict: keep, reason: color.no, remedy: Wait.}
`)
		id, d := w.print(graphtest.JobSpec{Printer: pullID, Color: true, Copies: 3, Duplex: true})
		l := w.live("", rewriting)
		l.worker.Handle(l.ctx, d)
		before, _ := w.sim.Job(id)
		if before.Effects.UpdateApplied != 0 || before.Configuration.Copies != 3 {
			t.Errorf("a held job was changed: %+v", before.Configuration)
		}
		l.end()
		if spot != "" {
			l = w.live(spot, rewriting)
			_, _ = l.release.Release(l.ctx, order())
			l.end()
		}
		l = w.live("", rewriting)
		if err := l.sweeper.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		out, err := l.release.Release(t.Context(), order())
		if err != nil || len(out.Kept)+len(out.Aborted) > 0 {
			t.Fatalf("%s: %+v, %v", spot, out, err)
		}
		j, _ := w.sim.Job(id)
		moved, ok := w.sim.Job(j.RedirectedTo)
		want := before.Configuration
		want.MediaSize, want.ColorMode, want.Copies = "A5", "blackAndWhite", 1
		if !ok || j.Effects.RedirectApplied != 1 || !reflect.DeepEqual(moved.Configuration, want) {
			t.Errorf("died %q: %+v\nprinted with %+v\nwant         %+v", spot, j.Effects, moved.Configuration, want)
		}
		rec := w.record(id)
		if rec.Decision.SetBy != "mono" || *rec.Decision.Set != (decision.Settings{
			Copies:    1,
			ColorMode: "blackAndWhite", MediaSize: "A5",
		}) {
			t.Errorf("record: %+v by %s", rec.Decision.Set, rec.Decision.SetBy)
		}
	}
}

// A job of a direct queue is changed right before it prints, whatever dies in
// between.
func TestSetBeforeComplete(t *testing.T) {
	for _, spot := range []string{"", "after intent", "before call", "after call", "before outcome"} {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		rewriting := withPolicy(t,
			`rules: [{name: save, at: arrival, when: '!job.duplex', set: {duplexMode: flipOnLongEdge, pagesPerSheet: 2}}]`)
		id, d := w.print(graphtest.JobSpec{Printer: directID, Copies: 4, Color: true})
		before, _ := w.sim.Job(id)
		for _, s := range []string{spot, ""} {
			l := w.live(s, rewriting)
			l.worker.Handle(l.ctx, d)
			l.end()
		}
		j, _ := w.sim.Job(id)
		want := before.Configuration
		want.DuplexMode, want.PagesPerSheet = "flipOnLongEdge", 2
		if j.Effects.FinishApplied != 1 || j.Effects.FinishRefused+j.Effects.UpdateRefused != 0 ||
			!reflect.DeepEqual(j.Configuration, want) {
			t.Errorf("died %q: %+v\nprinted with %+v\nwant         %+v", spot, j.Effects, j.Configuration, want)
		}
		if rec := w.record(id); rec.State != job.Completed || rec.Decision.SetBy != "save" {
			t.Errorf("%s by %q", rec.State, rec.Decision.SetBy)
		}
	}
}
