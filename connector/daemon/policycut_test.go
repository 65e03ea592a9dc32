package daemon_test

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// A policy file that is cut off for a moment, as cp writes it, or for good, as on a full disk,
// takes no rule away.
func TestPolicyCutOff(t *testing.T) {
	racetest.Skip(t, "one file after the other")
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		s := o.opened(zap.NewNop())
		defer func() { s.end() }()
		aborts := func(when string) {
			t.Helper()
			id, err := s.sim.Submit(graphtest.JobSpec{Printer: directID, User: studentID, Copies: 99})
			if err != nil {
				t.Fatal(err)
			}
			pass(3 * time.Second)
			if j, _ := s.sim.Job(id); j.State != "aborted" {
				t.Errorf("%s, 99 copies, of which the policy allows 50: %s", when, j.State)
			}
		}
		pass(3 * time.Second)
		const other = `  - {name: other, at: arrival, when: 'job.copies > 1000', verdict: abort, reason: copies.other, text: No., remedy: No.}
`
		const settings = "zone: Asia/Tokyo\nrules:\n"
		rules := strings.TrimPrefix(officePolicy, "rules:\n")
		var id graphtest.JobID
		begun := settings + other // the beginning of what is written slowly
		for i := range 20 {
			begun += "# more\n"
			o.write("policy.yaml", begun)
			pass(300 * time.Millisecond)
			if _, m := s.get("/metrics"); !strings.Contains(m, "\npullprint_config_last_reload_successful 1\n") {
				t.Fatal("the beginning is refused")
			}
			if i == 10 {
				id, _ = s.sim.Submit(graphtest.JobSpec{Printer: directID, User: studentID, Copies: 99})
			}
		}
		o.write("policy.yaml", settings+other+rules)
		if j, _ := s.sim.Job(id); j.State != "aborted" {
			t.Errorf("while it is written, 99 copies, of which the policy allows 50: %s", j.State)
		}
		aborts("when it was written")
		if _, m := s.get("/metrics"); !strings.Contains(m, "\npullprint_config_last_reload_successful 1\n") {
			t.Error("what was written is not in force")
		}
		for _, text := range []string{"", "rules:\n", "rules: []\n", settings, "# Printing\n"} {
			o.write("policy.yaml", text)
			pass(5 * time.Second)
			aborts(text)
			if _, m := s.get("/metrics"); !strings.Contains(m, "\npullprint_config_last_reload_successful 0\n") {
				t.Errorf("%q does not show in the metrics", text)
			}
			if _, body := s.get("/readyz?verbose"); !strings.Contains(body, "stays in force") {
				t.Errorf("%q does not show in /readyz: %s", text, body)
			}
			select {
			case s.reload <- struct{}{}:
			case <-time.After(time.Second):
				t.Error("nobody reloads")
			}
			pass(time.Second)
			aborts("asked to reload " + text)
		}
		o.write("policy.yaml", officePolicy)
		pass(5 * time.Second)
		if _, m := s.get("/metrics"); !strings.Contains(m, "\npullprint_config_last_reload_successful 1\n") {
			t.Error("the whole file is not in force again")
		}
	})
}
