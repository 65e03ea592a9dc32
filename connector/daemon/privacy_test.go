package daemon_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/privacy"
	"pullprint/trigger/graph/graphtest"
)

// A person is erased while the daemon runs: jobs that wait are in the way, unless
// they are to be aborted; then nothing tells of them any more, and the audit does
// not either.
func TestEraseWhileRunning(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		s.enrol(studentID, number)
		ids := s.hold(2)
		if code := s.ask(adminToken, "POST", "/v1/jobs/"+ids[0].Printer+"/"+ids[0].Job+"/release", `{"device":"hq-2-west"}`,
			nil); code != http.StatusOK {
			t.Fatal(code)
		}
		pass(3 * time.Minute)
		erase := func(how string) int {
			return s.ask(adminToken, "POST", "/v1/people/"+studentID+"/erase", how, nil)
		}
		if code := erase(`{}`); code != http.StatusConflict {
			t.Errorf("with a held job: %d", code)
		}
		if code := erase(`{"cancel_held":true}`); code != http.StatusOK {
			t.Fatalf("%d", code)
		}
		if job, _ := o.sim.Job(ids[1]); job.State != "aborted" {
			t.Errorf("the held job is %s", job.State)
		}
		pass(time.Minute)
		var p privacy.Person
		// The export itself leaves a record: look at what was there before it.
		if code := s.ask(adminToken, "POST", "/v1/people/"+studentID+"/export", "", &p); code != http.StatusOK {
			t.Fatal(code)
		}
		if n := len(p.Jobs) + len(p.Badges) + len(p.Decisions) + len(p.Ledger) + len(p.Dead); n != 0 || len(p.Audit) != 1 {
			text, _ := json.Marshal(p)
			t.Errorf("still known: %s", text)
		}
		var actions struct{ Actions []json.RawMessage }
		s.ask(adminToken, "GET", "/v1/audit?since=1h", "", &actions)
		erased := 0
		for _, a := range actions.Actions {
			if strings.Contains(string(a), `"erase-person"`) {
				erased++
			}
		}
		if erased != 2 {
			t.Errorf("%d records of the erasure: %s", erased, actions.Actions)
		}
	})
}
