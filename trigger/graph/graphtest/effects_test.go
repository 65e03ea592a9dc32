package graphtest

import (
	"slices"
	"testing"
)

func TestAbort(t *testing.T) {
	o := newOffice(t, Calm())
	id := o.submit(JobSpec{})
	if j := o.job(id); j.State != "paused" || j.Task.State != "processing" {
		t.Fatalf("after submit: %+v", j)
	}
	a := o.call(204, "POST", jobPath(id)+"/abort", map[string]string{"reason": "Too colourful."})
	if len(a.body) != 0 {
		t.Errorf("204 with a body: %v", a.body)
	}
	j := o.job(id)
	if j.State != "aborted" || j.Reason != "Too colourful." || j.Task.State != "aborted" {
		t.Fatalf("after abort: %+v", j)
	}
	o.call(400, "POST", jobPath(id)+"/abort", map[string]string{"reason": "again"})
	if e := o.job(id).Effects; e.AbortApplied != 1 || e.AbortRefused != 1 || o.job(id).Reason != "Too colourful." {
		t.Errorf("effects: %+v", e)
	}
	if len(o.sim.Paper()) != 0 {
		t.Error("an aborted job printed")
	}
}

func TestRedirect(t *testing.T) {
	o := newOffice(t, Calm())
	id := o.submit(JobSpec{Copies: 3, Color: true, Pages: 7})
	a := o.call(200, "POST", jobPath(id)+"/redirect", map[string]any{
		"destinationPrinterId": o.device.ID, "configuration": map[string]any{"colorMode": "blackAndWhite"},
	})
	moved := JobID{o.device.ID, a.body["id"].(string)}
	j := o.job(id)
	if j.RedirectedTo != moved || j.Task.State != "completed" || o.job(moved).RedirectedFrom != id {
		t.Fatalf("old %+v new %+v", j, o.job(moved))
	}
	paper := o.sim.Paper()
	if len(paper) != 1 || paper[0].Lineage != id || paper[0].Color || paper[0].Copies != 3 || paper[0].Pages != 7 || o.sim.Prints(id) != 1 {
		t.Fatalf("paper %+v", paper)
	}
	got := o.call(200, "GET", jobPath(id), nil)
	if got.body["redirectedTo"] != base+jobPath(moved) {
		t.Errorf("redirectedTo %v", got.body["redirectedTo"])
	}
	o.call(400, "POST", jobPath(id)+"/redirect", map[string]any{"destinationPrinterId": o.device.ID})
	if o.sim.Prints(id) != 1 || o.job(id).Effects != (Effects{RedirectApplied: 1, RedirectRefused: 1}) {
		t.Errorf("second redirect: %+v", o.job(id).Effects)
	}
	if audit := o.sim.Audit(); len(audit) != 0 {
		t.Error(audit)
	}
}

func TestRedirectRefusesDestinations(t *testing.T) {
	o := newOffice(t, Calm())
	id := o.submit(JobSpec{})
	closed := o.sim.AddPrinter(Printer{NotAccepting: true})
	for _, to := range []string{"", "nowhere", o.queue.ID, closed.ID} {
		o.call(400, "POST", jobPath(id)+"/redirect", map[string]any{"destinationPrinterId": to})
	}
	o.call(400, "POST", jobPath(id)+"/redirect",
		map[string]any{"destinationPrinterId": o.device.ID, "configuration": map[string]any{"colorMode": "mauve"}})
	if j := o.job(id); j.State != "paused" || j.Effects.RedirectApplied != 0 {
		t.Errorf("changed: %+v", j)
	}
}

func TestComplete(t *testing.T) {
	o := newOffice(t, Calm())
	id := o.submit(JobSpec{})
	o.call(200, "PATCH", jobPath(id), map[string]any{"configuration": map[string]any{"duplexMode": "flipOnLongEdge"}})
	o.call(200, "PATCH", o.taskPath(id), map[string]any{"status": map[string]string{"state": "completed", "description": "fine"}})
	paper := o.sim.Paper()
	if len(paper) != 1 || !paper[0].Duplex || o.job(id).State != "completed" {
		t.Fatalf("paper %+v job %+v", paper, o.job(id))
	}
	o.call(200, "PATCH", o.taskPath(id), map[string]any{"status": map[string]string{"state": "aborted", "description": ""}})
	if o.job(id).Task.State != "completed" || len(o.sim.Paper()) != 1 {
		t.Error("a finished task changed")
	}
	o.call(400, "PATCH", jobPath(id), map[string]any{"configuration": map[string]any{"copies": 2}})
}

func TestFence(t *testing.T) {
	o := newOffice(t, Calm())
	plain := o.submit(JobSpec{Printer: o.device.ID}) // no trigger there
	o.call(403, "POST", jobPath(plain)+"/abort", map[string]string{"reason": "no"})

	other := o.sim.AddApp(App{ClientID: "other"})
	id := o.submit(JobSpec{})
	mine := o.bearer
	o.bearer = o.sim.AppToken(other.ClientID)
	o.call(403, "POST", jobPath(id)+"/abort", map[string]string{"reason": "no"})
	o.call(403, "POST", jobPath(id)+"/redirect", map[string]any{"destinationPrinterId": o.device.ID})
	o.call(403, "PATCH", jobPath(id), map[string]any{"configuration": map[string]any{"copies": 2}})
	o.call(403, "PATCH", o.taskPath(id), map[string]any{"status": map[string]string{"state": "completed"}})
	o.bearer = mine
	if j := o.job(id); j.State != "paused" || j.Effects != (Effects{AbortRefused: 1, RedirectRefused: 1, UpdateRefused: 1}) {
		t.Errorf("job %+v", j)
	}
	o.call(404, "POST", jobPath(JobID{o.queue.ID, "99"})+"/abort", nil)
}

func TestOpenQuestions(t *testing.T) {
	for _, follows := range []float64{0, 1} {
		k := Calm()
		k.AbortEndsTask, k.SecondEffect, k.SecondFinish = follows, []int{409}, []int{404}
		k.RedirectedStates = []string{"canceled"}
		o := newOffice(t, k)
		id := o.submit(JobSpec{})
		o.call(204, "POST", jobPath(id)+"/abort", map[string]string{"reason": "x"})
		o.call(409, "POST", jobPath(id)+"/abort", map[string]string{"reason": "x"})
		finish := map[string]any{"status": map[string]string{"state": "aborted", "description": "x"}}
		if follows == 0 {
			if s := o.job(id).Task.State; s != "processing" {
				t.Errorf("task %s after abort", s)
			}
			o.call(200, "PATCH", o.taskPath(id), finish)
		}
		o.call(404, "PATCH", o.taskPath(id), finish)
		moved := o.submit(JobSpec{})
		o.call(200, "POST", jobPath(moved)+"/redirect", map[string]any{"destinationPrinterId": o.device.ID})
		if s := o.job(moved).State; s != "canceled" {
			t.Errorf("redirected job is %s", s)
		}
	}
	seen := map[int]bool{}
	o := newOffice(t, Hostile())
	o.sim.Change(func(k *Knobs) { k.Throttle, k.Unavailable, k.LoseReply = 0, 0, 0 })
	id := o.submit(JobSpec{})
	o.call(204, "POST", jobPath(id)+"/abort", map[string]string{"reason": "x"})
	for range 64 {
		a, err := o.try("POST", jobPath(id)+"/abort", map[string]string{"reason": "x"})
		if err != nil {
			t.Fatal(err)
		}
		seen[a.status] = true
	}
	for _, want := range []int{400, 403, 404, 409} {
		if !seen[want] {
			t.Errorf("a second abort never answered %d: %v", want, seen)
		}
	}
}

func TestAuditDetectsViolations(t *testing.T) {
	o := newOffice(t, Calm())
	id := o.submit(JobSpec{})
	o.call(204, "POST", jobPath(id)+"/abort", nil)
	o.sim.mu.Lock()
	o.sim.printed(o.sim.jobLocked(id))
	o.sim.printed(o.sim.jobLocked(id))
	o.sim.mu.Unlock()
	got := o.sim.Audit()
	for _, want := range []string{"printed 2 times", "without a reason", "aborted and printed"} {
		if !slices.ContainsFunc(got, func(s string) bool { return len(s) > len(want) && s[len(s)-len(want):] == want }) {
			t.Errorf("%q missing in %v", want, got)
		}
	}
}
