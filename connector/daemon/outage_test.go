package daemon_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

var outageFor = flag.Duration("outage", 10*time.Minute, "how long Graph is out in TestOutage, in all")

const strangerID = "22222222-3333-4444-8555-666666666666"

// outages are the ways in which Graph is not there.
var outages = []struct {
	name string
	on   func(*office)
}{
	{"503", func(o *office) { o.sim.Outage(true) }},
	{"connection refused", func(o *office) { o.sim.Unreachable(true) }},
	{"401", func(o *office) { o.refuse(http.StatusUnauthorized, graphtest.OpToken, false) }},
	{"a wrong secret", func(o *office) {
		o.sim.AddApp(graphtest.App{ClientID: appID, Secret: "another"})
		o.sim.RevokeTokens()
	}},
	{"no tokens", func(o *office) {
		o.refuse(http.StatusServiceUnavailable, graphtest.OpToken, true)
		o.sim.RevokeTokens()
	}},
	{"no jobs", func(o *office) { o.refuse(http.StatusServiceUnavailable, graphtest.OpJobGet, true) }},
	{"no directory", func(o *office) {
		o.refuse(http.StatusServiceUnavailable, graphtest.OpGroups, true)
		o.sim.AddUser(graphtest.User{ID: strangerID, UPN: "stranger@contoso.com"})
	}},
}

// refuse has the simulator answer one operation so, or all others.
func (o *office) refuse(status int, op string, that bool) {
	o.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(name string, _ graphtest.Request) graphtest.Fault {
			if (name == op) == that {
				return graphtest.Fault{Refuse: status}
			}
			return graphtest.Fault{}
		}
	})
}

// back has Graph answer again.
func (o *office) back() {
	o.sim.Outage(false)
	o.sim.Unreachable(false)
	o.sim.Change(func(k *graphtest.Knobs) { k.Intercept = nil })
	o.sim.AddApp(graphtest.App{ClientID: appID, Secret: appSecret})
}

// For a day Graph is out, in one way after the other, while people go on printing:
// no cause is told twice within a minute, what happens to a job is always told,
// and afterwards every job is decided, once.
func TestOutage(t *testing.T) {
	racetest.Skip(t, "the gate plays hours of it")
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.write("policy.yaml",
			`rules: [{name: bulk, at: arrival, when: 'job.copies > 50 || "nobody" in user.groups', verdict: abort, reason: copies.too-many, text: 'Too many.', remedy: 'Print fewer.'}]`)
		o.edit("policy: {file: policy.yaml}", "policy: {file: policy.yaml, group_ttl: 1s}")
		core, logs := observer.New(zapcore.InfoLevel)
		s := o.start(zap.New(core))
		defer s.end()
		s.register()
		var told []observer.LoggedEntry
		printed := 0
		prints := func(user string, n int) {
			for range n {
				if _, err := o.sim.Submit(graphtest.JobSpec{Printer: directID, User: user}); err != nil {
					t.Fatal(err)
				}
				printed++
			}
		}
		for _, out := range outages {
			told = append(told, logs.TakeAll()...)
			began, each := time.Now(), *outageFor/time.Duration(len(outages))
			out.on(o)
			user := studentID
			if out.name == "no directory" {
				user = strangerID // whose groups nobody has asked for yet
			}
			prints(user, 20)
			for range 10 {
				pass(each / 10)
				prints(user, 1)
			}
			lines := logs.TakeAll()
			o.quietly(out.name, lines, time.Since(began))
			o.back()
			s.await("the jobs of "+out.name, 70*time.Minute, func() bool { return len(s.completed(t)) == printed })
			told = append(told, lines...)
		}
		if n := len(s.all()); decisions(append(told, logs.All()...)) != n {
			t.Errorf("%d decisions are told of %d", decisions(append(told, logs.All()...)), n)
		}
	})
}

// completed are the jobs that were, each once; others only wait for the directory.
func (s *shift) completed(t *testing.T) map[string]bool {
	done := map[string]bool{}
	for _, d := range s.all() {
		switch {
		case d.Verdict == "hold" && d.Reason == "directory.unavailable":
		case d.Verdict != "complete" || done[d.Job]:
			t.Errorf("job %s: %s, completed before: %t", d.Job, d.Verdict, done[d.Job])
		default:
			done[d.Job] = true
		}
	}
	return done
}

// decisions counts the lines that tell of one.
func decisions(lines []observer.LoggedEntry) (n int) {
	for _, e := range lines {
		if e.Message == "job decided" {
			n++
		}
	}
	return n
}

// whatFailed is the part of an error that says so: the call and its status.
var whatFailed = regexp.MustCompile(`graph \w+|no token|status \d+|AADSTS\d+|refused|in time`)

// quietly fails when a cause was told twice within a minute. What is told of a job
// without an error is an event, and may come as often as there are jobs.
func (o *office) quietly(outage string, lines []observer.LoggedEntry, took time.Duration) {
	o.t.Helper()
	last, n := map[string]time.Time{}, map[string]int{}
	all := 0
	for _, e := range lines {
		f := e.ContextMap()
		failure, failed := f["error"].(string)
		_, ofJob := f["job"]
		if !failed && (ofJob || e.Level < zapcore.WarnLevel) {
			continue
		}
		all++
		cause := fmt.Sprint(e.LoggerName, ": ", e.Message, " ", f["what"], f["queue"], f["lease"], whatFailed.FindAllString(failure, -1))
		if at, told := last[cause]; told && e.Time.Sub(at) < time.Minute {
			o.t.Errorf("%s: told again after %s: %s: %s", outage, e.Time.Sub(at), cause, failure)
		}
		last[cause] = e.Time
		n[cause]++
	}
	if all == 0 {
		o.t.Errorf("%s: nothing is told", outage)
	}
	if perMinute := float64(all) / took.Minutes(); perMinute > 6 {
		o.t.Errorf("%s: %.1f lines a minute", outage, perMinute)
	}
	var list []string
	for cause, n := range n {
		list = append(list, fmt.Sprintf("%5d %s", n, cause))
	}
	o.t.Logf("%s, %s: %d lines\n%s", outage, took.Round(time.Second), all, strings.Join(list, "\n"))
}

// edit changes the configuration.
func (o *office) edit(from, to string) {
	o.t.Helper()
	src, err := os.ReadFile(filepath.Join(o.dir, "config.yaml"))
	if err != nil || !strings.Contains(string(src), from) {
		o.t.Fatalf("%q is not in the configuration: %v", from, err)
	}
	o.write("config.yaml", strings.Replace(string(src), from, to, 1))
}
