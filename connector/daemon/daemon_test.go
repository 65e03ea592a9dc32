package daemon_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The main job on the best day: held, completed, aborted with a reason, each
// told of once, counted, and ready all the while.
func TestMainJob(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		pulled := o.print(graphtest.JobSpec{Printer: pullID})
		direct := o.print(graphtest.JobSpec{Printer: directID})
		bulk := o.print(graphtest.JobSpec{Printer: directID, Copies: 51})
		s.await("three decisions", 10*time.Second, func() bool { return len(s.all()) == 3 })

		want := map[graphtest.JobID]string{pulled: "hold", direct: "complete", bulk: "abort"}
		for _, d := range s.all() {
			id := graphtest.JobID{Printer: d.Printer, Job: d.Job}
			if d.Verdict != want[id] {
				t.Errorf("job %v: verdict %s, want %s", id, d.Verdict, want[id])
			}
		}
		if j, _ := o.sim.Job(pulled); j.State != "paused" {
			t.Errorf("the held job is %s", j.State)
		}
		job, _ := o.sim.Job(bulk)
		if reason := "More than 50 copies go to the print shop. Print fewer copies. [copies.too-many]"; job.Reason != reason {
			t.Errorf("reason at Graph = %q, want %q", job.Reason, reason)
		}
		if paper := o.sim.Paper(); len(paper) != 1 || paper[0].Job != direct {
			t.Errorf("paper = %+v, want only that of %v", paper, direct)
		}
		if code, body := o.get("/readyz?verbose"); code != 200 {
			t.Errorf("readyz = %d %s", code, body)
		}
		_, metrics := o.get("/metrics")
		for _, line := range []string{
			`pullprint_decisions_total{point="arrival",queue="Poster",reason="copies.too-many",rule="too-many",verdict="abort"} 1`,
			`pullprint_held_jobs{queue="Follow-Me"} 1`,
			`pullprint_notifications_total{result="stored"} 3`,
		} {
			if !strings.Contains(metrics, line) {
				t.Errorf("metrics lack %s", line)
			}
		}
	})
}

// With every notification lost each job is found within 120 s.
func TestEveryNotificationLost(t *testing.T) {
	racetest.Skip(t, "one job after the other")
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Calm()
		k.LoseNotification = 1
		o := newOffice(t, k)
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		printed := map[string]time.Time{}
		for i := range 40 {
			id := o.print(graphtest.JobSpec{Printer: []string{pullID, directID}[i%2]})
			printed[id.String()] = time.Now()
			pass(7 * time.Second)
		}
		s.await("every job decided", 2*time.Minute, func() bool { return len(s.all()) == 40 })
		for _, d := range s.all() {
			at := printed[graphtest.JobID{Printer: d.Printer, Job: d.Job}.String()]
			if late := d.At.Sub(at); late > 2*time.Minute {
				t.Errorf("job %s was found after %s", d.Job, late)
			}
		}
	})
}

// A hostile Graph: throttled, failing, losing replies and notifications. Every
// job comes to its right end, once.
func TestHostileGraph(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Hostile()
		o := newOffice(t, k)
		t.Logf("seed %d", o.sim.Seed())
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		specs := []graphtest.JobSpec{{Printer: pullID}, {Printer: directID}, {Printer: directID, Copies: 99}, {Printer: strangeID}}
		var ids []graphtest.JobID
		n := 200
		if racetest.Enabled {
			n = 40
		}
		for i := range n {
			ids = append(ids, o.print(specs[i%4]))
			pass(time.Second)
		}
		s.await("every job of ours decided", 30*time.Minute, func() bool { return len(s.all()) >= n*3/4 })
		pass(5 * time.Minute)
		paper := map[graphtest.JobID]int{}
		for _, sheet := range o.sim.Paper() {
			paper[sheet.Lineage]++
		}
		for i, id := range ids {
			job, _ := o.sim.Job(id)
			want := []struct {
				state           string
				paper, maxCalls int
			}{{"paused", 0, 0}, {"completed", 1, 1}, {"aborted", 0, 1}, {"paused", 0, 0}}[i%4]
			if job.State != want.state || paper[id] != want.paper || job.Effects.Applied() != want.maxCalls {
				t.Errorf("job %v (%d): state %s, paper %d, effects %+v; want %+v", id, i%4, job.State, paper[id], job.Effects, want)
			}
		}
		if got := len(s.all()); got != n*3/4 {
			t.Errorf("%d decisions for %d jobs", got, n*3/4)
		}
		if v := o.sim.Violations(); len(v) > 0 {
			t.Errorf("violations: %v", v)
		}
	})
}

// A second life finds the definition and the subscription of the first, its
// records, and decides nothing twice.
func TestRestart(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		first := o.start(zap.NewNop())
		first.register()
		for range 10 {
			o.print(graphtest.JobSpec{Printer: pullID})
		}
		first.await("ten held", time.Minute, func() bool { return len(first.all()) == 10 })
		first.end()
		missed := o.print(graphtest.JobSpec{Printer: directID})

		second := o.start(zap.NewNop())
		defer second.end()
		second.await("the job printed meanwhile", time.Minute, func() bool { return len(second.all()) == 1 })
		if d := second.all()[0]; d.Job != missed.Job || d.Verdict != "complete" {
			t.Errorf("decided %+v", d)
		}
		if n, m := len(o.sim.Definitions()), len(o.sim.Subscriptions()); n != 1 || m != 1 {
			t.Errorf("%d definitions and %d subscriptions after a restart", n, m)
		}
		if _, metrics := o.get("/metrics"); !strings.Contains(metrics, `pullprint_held_jobs{queue="Follow-Me"} 10`) {
			t.Error("the held jobs are not counted after a restart")
		}
	})
}

// A job that nobody releases is aborted when its time ends, with that reason,
// at most two sweeps late; one that still has time is left alone.
func TestHoldExpires(t *testing.T) {
	racetest.Skip(t, "minutes of what TestMainJob does")
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.edit("hold_for: 1h", "hold_for: 12m")
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		old := o.print(graphtest.JobSpec{Printer: pullID})
		pass(6 * time.Minute)
		young := o.print(graphtest.JobSpec{Printer: pullID})
		pass(5 * time.Minute)
		if n := len(s.all()); n != 2 {
			t.Fatalf("%d decisions a minute before the end", n)
		}
		s.await("the end of the hold", 3*time.Minute, func() bool { return len(s.all()) == 3 })
		if d := s.all()[2]; d.Job != old.Job || d.Reason != "hold.expired" || d.Verdict != "abort" ||
			d.Point != "release" || d.Remedy == "" {
			t.Errorf("decided %+v", d)
		}
		if job, _ := o.sim.Job(old); job.State != "aborted" || !strings.Contains(job.Reason, "[hold.expired]") {
			t.Errorf("the expired job is %s: %q", job.State, job.Reason)
		}
		if job, _ := o.sim.Job(young); job.State != "paused" {
			t.Errorf("the younger job is %s", job.State)
		}
	})
}

// After a kill the next life registers and sweeps at once: it does not wait for
// the leases of the dead.
func TestKilledLeaseholder(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		dead := bustest.Open(t)
		taken := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- dead.WithLease(ctx, "sweep", "dead", time.Hour, func(ctx context.Context) error {
				close(taken)
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		<-taken
		bustest.Kill(t, dead)
		cancel()
		<-ended
		next := bustest.Reopen(t, dead)
		began := time.Now()
		err := next.WithLease(t.Context(), "sweep", "next", time.Hour, func(context.Context) error { return nil })
		if waited := time.Since(began); err != nil || waited > time.Second {
			t.Errorf("waited %s for the lease of the dead: %v", waited, err)
		}
	})
}

// A policy that changes on disk is taken; a broken one is not, and says so.
func TestPolicyReload(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		verdict := func() string {
			n := len(s.all())
			o.print(graphtest.JobSpec{Printer: directID, Copies: 20})
			s.await("a decision", time.Minute, func() bool { return len(s.all()) > n })
			return s.all()[n].Verdict
		}
		if v := verdict(); v != "complete" {
			t.Fatalf("verdict %s before the change", v)
		}
		o.write("policy.yaml", strings.Replace(officePolicy, "50'", "10'", 1))
		pass(5 * time.Second)
		if v := verdict(); v != "abort" {
			t.Errorf("verdict %s after the change", v)
		}
		o.write("policy.yaml", "rules: [{name: broken")
		pass(5 * time.Second)
		if v := verdict(); v != "abort" {
			t.Errorf("verdict %s with a broken file", v)
		}
		if _, m := o.get("/metrics"); !strings.Contains(m, "pullprint_config_last_reload_successful 0") {
			t.Error("the broken file does not show in the metrics")
		}
		o.write("policy.yaml", officePolicy)
		s.reload <- struct{}{}
		pass(100 * time.Millisecond)
		if v := verdict(); v != "complete" {
			t.Errorf("verdict %s after SIGHUP", v)
		}
	})
}

// A wrong secret ends the daemon at once, with the code and what to check.
func TestWrongSecret(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.write("client-secret", "another-secret")
		s := o.start(zap.NewNop())
		err := <-s.done
		s.stop()
		if err == nil || !strings.Contains(err.Error(), "AADSTS7000215") || strings.Contains(err.Error(), "another-secret") {
			t.Errorf("error = %v", err)
		}
	})
}

// Graph unreachable at start: stays up, not ready, says so once a minute.
func TestUnreachableAtStart(t *testing.T) {
	racetest.Skip(t, "minutes of what TestMainJob does")
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.sim.Unreachable(true)
		core, logs := observer.New(zapcore.WarnLevel)
		s := o.start(zap.New(core))
		defer s.end()
		pass(10 * time.Minute)
		if code, body := o.get("/readyz?verbose"); code != 503 || !strings.Contains(body, "[-] token") {
			t.Errorf("readyz = %d %s", code, body)
		}
		if n := logs.Len(); n < 9 || n > 60 {
			t.Errorf("%d lines of warning in ten minutes: %s", n, fmt.Sprint(logs.All()))
		}
		o.sim.Unreachable(false)
		s.register()
		pass(time.Minute)
		if code, body := o.get("/readyz?verbose"); code != 200 {
			t.Errorf("readyz = %d %s after Graph came back", code, body)
		}
	})
}

// A daemon that is told to end while it starts ends well.
func TestStopWhileStarting(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		var s *shift
		began := make(chan struct{})
		o.tune = func(d *daemonOptions) {
			d.Opened = func(*bus.Bus) {
				<-began
				s.stop()
			}
		}
		s = o.start(zap.NewNop())
		close(began)
		if err := <-s.done; err != nil {
			t.Error(err)
		}
	})
}
