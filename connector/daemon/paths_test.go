package daemon_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/daemon"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// daemonOptions is what a daemon is made of.
type daemonOptions = daemon.Options

// teacherNumber is the card of the teacher.
const teacherNumber = "04A21BC399"

const quotaPolicy = officePolicy + `
allowances: [{name: students, when: '"students" in user.groups', pages: 10, every: week}]
unmatched: free
`

// walker is an installation whose daemon is traced.
type walker struct {
	*shift
	*trace
}

// scene is a path of a job.
type scene struct {
	name  string
	knobs func(*graphtest.Knobs) // may be nil
	do    func(w *walker)
}

// walk has scenes played one after the other, and holds the trace of each to a golden
// file.
func walk(t *testing.T, scenes ...scene) {
	t.Helper()
	hold := func(w *walker, name string) { golden(w.t, "paths/"+name+".txt", w.text()) }
	playScenes(t, func(*office) {}, hold, scenes...)
}

// playScenes plays scenes one after the other at an office that prepare has changed, and calls played after each.
func playScenes(t *testing.T, prepare func(*office), played func(w *walker, name string), scenes ...scene) {
	t.Helper()
	bustest.Virtual(t, func(t *testing.T) {
		calm := graphtest.Calm()
		calm.Seed, calm.NoRedirectedTask = 1, true
		o := newOffice(t, calm)
		o.write("policy.yaml", quotaPolicy)
		o.edit("hold_for: 1h", "hold_for: 10m")
		prepare(o)
		w := &walker{trace: follow(o)}
		w.shift = o.start(zap.NewNop())
		w.register()
		w.enrol(studentID, number)
		w.enrol(teacherID, teacherNumber)
		for _, s := range scenes {
			pass(10 * time.Second) // a badge shown again within seconds is the same tap
			if s.knobs != nil {
				o.sim.Change(s.knobs)
			}
			w.begin()
			s.do(w)
			played(w, s.name)
			o.sim.Change(func(k *graphtest.Knobs) { k.Become(calm); k.Intercept, k.PrintTime = nil, 0 })
			if err := o.sim.SetPrinter(westID, "idle", true); err != nil {
				t.Fatal(err)
			}
			for _, j := range w.jobs("held") {
				w.ask(adminToken, "POST", "/v1/jobs/"+j.Printer+"/"+j.Job+"/cancel", "{}", nil)
			}
		}
		w.trace.close(false)
		w.end()
	})
}

// die kills the daemon, as kill -9 would, and starts it again.
func (w *walker) die() {
	w.t.Helper()
	w.trace.close(true)
	bustest.KillIn(w.t, w.bus, w.dir+"/nats")
	w.stop()
	<-w.done // it fails: its store is gone
	w.say("the process is killed and started again")
	w.shift = w.start(zap.NewNop())
}

// one prints a job into the pull queue and waits until it is held.
func (w *walker) one(spec graphtest.JobSpec) graphtest.JobID {
	w.t.Helper()
	spec.Printer = pullID
	id := w.print(spec)
	pass(5 * time.Second)
	return id
}

func (w *walker) api(token, method, path, body string) {
	w.t.Helper()
	w.say(fmt.Sprintf("%s %s %s", method, path, body))
	var answer any
	code := w.ask(token, method, path, body, &answer)
	w.say(fmt.Sprint("it answers ", code))
}

func (w *walker) shows(card string) {
	w.t.Helper()
	w.api(readerToken, "POST", "/v1/taps", fmt.Sprintf(`{"badge":%q}`, card))
}

// knock shows a badge and gets no answer.
func (w *walker) knock() {
	client := &http.Client{Transport: w.net.transport()}
	defer client.CloseIdleConnections()
	req, err := http.NewRequest(http.MethodPost, "http://"+w.admin()+"/v1/taps", strings.NewReader(`{"badge":"`+number+`"}`))
	if err != nil {
		w.t.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+readerToken)
	req.Header.Set("Content-Type", "application/json")
	if res, err := client.Do(req); err == nil {
		_ = res.Body.Close()
	}
}

// strike has the simulator do something to the next call of an operation.
func strike(op string, times int, f graphtest.Fault) func(*graphtest.Knobs) {
	return func(k *graphtest.Knobs) {
		left := times
		k.Intercept = func(name string, _ graphtest.Request) graphtest.Fault {
			if name != op || left == 0 {
				return graphtest.Fault{}
			}
			left--
			return f
		}
	}
}

// On each path of a job the store is written and Graph is called in the order that the
// crash stories rest on, and every message has the id that makes a repeat do nothing.
func TestPaths(t *testing.T) {
	racetest.Skip(t, "one path after the other")
	walk(t,
		scene{"arrival-held", nil, func(w *walker) { w.one(graphtest.JobSpec{}) }},
		scene{"arrival-aborted", nil, func(w *walker) {
			w.print(graphtest.JobSpec{Printer: directID, Copies: 99})
			pass(5 * time.Second)
		}},
		scene{"arrival-completed", nil, func(w *walker) {
			w.print(graphtest.JobSpec{Printer: directID})
			pass(3 * time.Minute)
		}},
		scene{"arrival-exhausted", nil, func(w *walker) {
			w.print(graphtest.JobSpec{Printer: directID, Pages: 11})
			pass(time.Minute)
		}},
		scene{"notified-twice", func(k *graphtest.Knobs) { k.DuplicateNotification = 1 }, func(w *walker) { w.one(graphtest.JobSpec{}) }},
		scene{"notification-lost", func(k *graphtest.Knobs) { k.LoseNotification = 1 }, func(w *walker) {
			w.one(graphtest.JobSpec{})
			pass(3 * time.Minute)
		}},
		scene{"tap", nil, func(w *walker) {
			w.one(graphtest.JobSpec{})
			w.shows(number)
			pass(3 * time.Minute)
		}},
		scene{"tap-exhausted", nil, func(w *walker) {
			w.one(graphtest.JobSpec{Pages: 11})
			w.shows(number)
			pass(time.Minute)
		}},
		scene{"tap-device-stopped", nil, func(w *walker) {
			w.one(graphtest.JobSpec{})
			if err := w.sim.SetPrinter(westID, "stopped", false); err != nil {
				w.t.Fatal(err)
			}
			w.shows(number)
		}},
		scene{"tap-aborted-by-printer", func(k *graphtest.Knobs) { k.PrintTime = time.Hour }, func(w *walker) {
			w.one(graphtest.JobSpec{})
			w.shows(number)
			made := w.sim.Jobs(westID)
			if err := w.sim.FailJob(made[len(made)-1].ID); err != nil {
				w.t.Fatal(err)
			}
			pass(3 * time.Minute)
		}},
		scene{"tap-answer-lost-done", strike(graphtest.OpJobRedirect, 1, graphtest.Fault{Lose: true}), func(w *walker) {
			w.one(graphtest.JobSpec{})
			w.shows(number)
			pass(3 * time.Minute)
		}},
		scene{"tap-answer-lost-not-done", strike(graphtest.OpJobRedirect, 1, graphtest.Fault{Drop: true}), func(w *walker) {
			w.one(graphtest.JobSpec{})
			w.shows(number)
			pass(3 * time.Minute)
		}},
		scene{"tap-refused", strike(graphtest.OpJobRedirect, 1, graphtest.Fault{Refuse: http.StatusBadRequest}), func(w *walker) {
			w.one(graphtest.JobSpec{})
			w.shows(number)
			pass(3 * time.Minute)
		}},
		scene{"released-by-api", nil, func(w *walker) {
			id := w.one(graphtest.JobSpec{})
			w.api(adminToken, "POST", "/v1/jobs/"+id.Printer+"/"+id.Job+"/release", `{"device":"hq-2-east"}`)
			pass(3 * time.Minute)
		}},
		scene{"delegated", nil, func(w *walker) {
			w.one(graphtest.JobSpec{})
			w.api(adminToken, "PUT", "/v1/delegations", `{"owner":"`+studentID+`","to":"`+teacherID+`","expires":"2000-01-01T12:00:00Z"}`)
			w.shows(teacherNumber)
			pass(3 * time.Minute)
		}},
		scene{"canceled", nil, func(w *walker) {
			id := w.one(graphtest.JobSpec{})
			w.api(adminToken, "POST", "/v1/jobs/"+id.Printer+"/"+id.Job+"/cancel", `{"reason":"wrong paper"}`)
			pass(time.Minute)
		}},
		scene{"expired", nil, func(w *walker) {
			w.one(graphtest.JobSpec{})
			pass(12 * time.Minute)
		}},
		scene{"gone", nil, func(w *walker) {
			id := w.one(graphtest.JobSpec{})
			if err := w.sim.CancelJob(id); err != nil {
				w.t.Fatal(err)
			}
			pass(2 * time.Minute)
		}},
		scene{"given-up", strike(graphtest.OpJobGet, 1000, graphtest.Fault{Refuse: http.StatusBadRequest}), func(w *walker) {
			w.deaf = "/print/taskDefinitions/" // the sweep looks when it comes by
			w.print(graphtest.JobSpec{Printer: pullID})
			pass(7 * time.Minute)
		}},
	)
}

// Notices cost the way of a decision no write and no call: whoever has their lease makes them from the audit.
// Here that is another instance, so that one which is seen would belong to that way.
func TestPathsWithNotices(t *testing.T) {
	racetest.Skip(t, "two of the paths, twice")
	seen := func(more string) map[string]string {
		paths := map[string]string{}
		playScenes(t, func(o *office) {
			o.edit("metrics:", more+"\nmetrics:")
			o.tune = func(d *daemonOptions) { d.Opened = func(b *bus.Bus) { leaseElsewhere(o.t, b, "notices") } }
		}, func(w *walker, name string) {
			paths[name] = w.text()
			if n := w.noticed(); n != 0 {
				w.t.Errorf("%s: %d writes of notices", name, n)
			}
		}, scene{"aborted", nil, func(w *walker) {
			w.print(graphtest.JobSpec{Printer: directID, Copies: 99})
			pass(5 * time.Second)
		}}, scene{"tap", nil, func(w *walker) {
			w.one(graphtest.JobSpec{})
			w.shows(number)
			pass(3 * time.Minute)
		}})
		return paths
	}
	without := seen("")
	with := seen(`notices: {mail: {from: printing@contoso.com, smtp: {address: "127.0.0.1:1", tls: none}}}`)
	if diff := cmp.Diff(without, with); diff != "" {
		t.Errorf("- without notices, + with:\n%s", diff)
	}
	for name, call := range map[string]string{"aborted": "/abort: 204", "tap": "/redirect: 200"} {
		made := func(what string) int { return strings.Count("\n"+with[name], "\n"+what+" ") }
		t.Logf("%s: %d writes, %d calls", name, made("store")+made("publish"), made("graph"))
		if !strings.Contains(with[name], call) {
			t.Errorf("%s: no %s in\n%s", name, call, with[name])
		}
	}
}

// leaseElsewhere has another instance hold a lease for longer than a test takes.
func leaseElsewhere(t *testing.T, b *bus.Bus, name string) {
	_, ok, err := b.State().CompareAndSet(t.Context(), "lease."+name, []byte("another instance"), 0, time.Hour)
	if !ok || err != nil {
		t.Errorf("take the lease %s: %t, %v", name, ok, err)
	}
}

// A process that was killed at its call of Graph is followed by one that reads the job
// back before anything else, and publishes under the same ids.
func TestPathsAfterDeath(t *testing.T) {
	racetest.Skip(t, "one death after the other")
	for name, c := range map[string]struct {
		op     string
		before bool
		print  graphtest.JobSpec
		tap    bool
	}{
		"killed-before-abort":    {graphtest.OpJobAbort, true, graphtest.JobSpec{Printer: directID, Copies: 99}, false},
		"killed-after-abort":     {graphtest.OpJobAbort, false, graphtest.JobSpec{Printer: directID, Copies: 99}, false},
		"killed-before-complete": {graphtest.OpTaskUpdate, true, graphtest.JobSpec{Printer: directID}, false},
		"killed-after-complete":  {graphtest.OpTaskUpdate, false, graphtest.JobSpec{Printer: directID}, false},
		"killed-before-redirect": {graphtest.OpJobRedirect, true, graphtest.JobSpec{Printer: pullID}, true},
		"killed-after-redirect":  {graphtest.OpJobRedirect, false, graphtest.JobSpec{Printer: pullID}, true},
	} {
		hang := func(k *graphtest.Knobs) {
			never := make(chan struct{})
			f := graphtest.Fault{HoldReply: never}
			if c.before {
				f = graphtest.Fault{Hold: never}
			}
			strike(c.op, 1, f)(k)
		}
		walk(t, scene{name, hang, func(w *walker) {
			w.print(c.print)
			pass(5 * time.Second)
			if c.tap {
				w.say("a badge is shown")
				go w.knock()
				pass(5 * time.Second)
			}
			w.die()
			pass(2 * time.Minute)
		}})
	}
}
