package daemon_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/access"
	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/trigger/racetest"
)

// changing are all routes that change something, each with a body that is good. JOB is a
// held job.
var changing = []struct{ method, path, route, body string }{
	{"POST", "/v1/taps", "", `{"device":"hq-2-west","badge":"` + number + `"}`},
	{"POST", "/v1/jobs/JOB/release", "/v1/jobs/{printer}/{job}/release", `{"device":"hq-2-east"}`},
	{"POST", "/v1/jobs/JOB/cancel", "/v1/jobs/{printer}/{job}/cancel", `{}`},
	{"PUT", "/v1/badges", "", `{"badge":"04A21BC377","owner":"` + teacherID + `"}`},
	{"DELETE", "/v1/badges", "", `{"badge":"04A21BC377"}`},
	{"POST", "/v1/badges/import", "", "badge,owner\n04A21BC378," + teacherID + "\n"},
	{"POST", "/v1/badges/codes", "", `{"owner":"` + teacherID + `"}`},
	{"PUT", "/v1/quotas/" + teacherID, "/v1/quotas/{account}", `{"limit":5,"why":"x"}`},
	{"POST", "/v1/quotas/" + teacherID + "/adjust", "/v1/quotas/{account}/adjust", `{"delta":5,"why":"x"}`},
	{"POST", "/v1/usage", "", `{"date":"2026-03-10","graph_pages":1,"pullprint_pages":1}`},
	{"PUT", "/v1/delegations", "", `{"owner":"` + teacherID + `","to":"` + studentID + `","expires":"EXPIRES"}`},
	{"DELETE", "/v1/delegations", "", `{"owner":"` + teacherID + `","to":"` + studentID + `"}`},
	{"POST", "/v1/people/" + teacherID + "/export", "/v1/people/{user}/export", ``},
	{"POST", "/v1/people/" + teacherID + "/end-sessions", "/v1/people/{user}/end-sessions", `{"note":"phone stolen"}`},
	{"POST", "/v1/pins/" + teacherID + "/unlock", "/v1/pins/{user}/unlock", `{"note":"x"}`},
	{"DELETE", "/v1/pins/" + teacherID, "/v1/pins/{user}", `{"note":"x"}`},
	{"POST", "/v1/people/" + teacherID + "/erase", "/v1/people/{user}/erase", `{}`},
	{"POST", "/v1/devices/hq-2-west/link", "/v1/devices/{device}/link", `{"note":"x"}`},
	{"POST", "/v1/backup", "", ``},
}

// Every route that changes something leaves a record that names the token, before
// anything else; the list here has every such route.
func TestEveryChangeIsAudited(t *testing.T) {
	racetest.Skip(t, "one request after the other")
	bustest.Virtual(t, func(t *testing.T) {
		s := officeWithPhones(t).opened(zap.NewNop())
		defer s.end()
		listed := map[string]bool{}
		for _, c := range changing {
			path := c.path
			if c.route == "" {
				listed[c.method+" "+c.path] = true
			} else {
				listed[c.method+" "+c.route] = true
				id := s.hold(1)[0]
				path = strings.Replace(path, "JOB", id.Printer+"/"+id.Job, 1)
			}
			body := strings.Replace(c.body, "EXPIRES", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), 1)
			before := len(s.actions())
			code := s.ask(adminToken, c.method, path, body, nil)
			after := s.actions()
			if code != http.StatusOK || len(after) != before+1 || after[before].Actor != access.AdminName || after[before].Action == "" {
				t.Errorf("%s %s: %d, and the audit has %d records more: %+v", c.method, c.path, code, len(after)-before, after[before:])
			}
		}
		var file struct {
			Paths map[string]map[string]json.RawMessage `json:"paths"`
		}
		s.ask(adminToken, "GET", "/v1/openapi.json", "", &file)
		for path, methods := range file.Paths {
			for method := range methods {
				if name := strings.ToUpper(method) + " " + path; method != "get" && !listed[name] {
					t.Errorf("%s is not tried here", name)
				}
			}
		}
	})
}

// The audit of an import tells how many badges it holds and how they were taken; a file that
// is no list of badges leaves none.
func TestImportIsAudited(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		before := len(s.actions())
		file := "badge,owner\n04A21BC378," + teacherID + "\n04A21BC379," + teacherID + "\n"
		if code := s.ask(adminToken, "POST", "/v1/badges/import?replace=true&as_is=true", file, nil); code != http.StatusOK {
			t.Fatal(code)
		}
		told := s.actions()[before:]
		if len(told) != 1 || told[0].Count != 2 || !told[0].Replace || !told[0].AsIs {
			t.Errorf("%+v", told)
		}
		if code := s.ask(adminToken, "POST", "/v1/badges/import", "name,age\nx,1\n", nil); code == http.StatusOK {
			t.Error("a list of something else is taken")
		}
		if more := len(s.actions()) - before - 1; more != 0 {
			t.Errorf("%d records of what was not begun", more)
		}
	})
}

// actions are what the audit has of an hour.
func (s *shift) actions() []apiclient.Action {
	s.t.Helper()
	var page apiclient.ActionList
	if code := s.ask(adminToken, "GET", "/v1/audit?limit=500", "", &page); code != http.StatusOK {
		s.t.Fatal(code)
	}
	return page.Actions
}

// A tap with the token of somebody else than the device's reader is told of in the
// audit, and its decisions name who it was; a refusal to anything else leaves both.
func TestTapByAnotherToken(t *testing.T) {
	racetest.Skip(t, "one tap after the other")
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		for _, c := range []struct{ token, device, actor string }{
			{readerToken, "hq-2-west", ""}, {adminToken, "hq-2-west", "admin"}, {adminToken, "hq-2-east", "admin"},
		} {
			id := s.hold(1)[0]
			pass(10 * time.Second) // a repeat within seconds is the same tap
			before := len(s.actions())
			body := fmt.Sprintf(`{"device":%q,"badge":%q}`, c.device, number)
			if code := s.ask(c.token, "POST", "/v1/taps", body, nil); code != http.StatusOK {
				t.Fatalf("%+v: %d", c, code)
			}
			told := s.actions()[before:]
			if c.actor == "" && len(told) != 0 {
				t.Errorf("the reader's own tap is in the audit: %+v", told)
			}
			if c.actor != "" && (len(told) != 1 || told[0].Actor != c.actor || told[0].Device != c.device || told[0].Action != "tap") {
				t.Errorf("%+v: the audit has %+v", c, told)
			}
			var d apiclient.JobDetail
			s.ask(adminToken, "GET", "/v1/jobs/"+id.Printer+"/"+id.Job, "", &d)
			if d.Job.State != job.Released || d.Job.Decision.Actor != c.actor {
				t.Errorf("%+v: the job is %s by %q", c, d.Job.State, d.Job.Decision.Actor)
			}
		}
		before := len(s.actions())
		if code := s.ask(adminToken, "POST", "/v1/taps", `{"device":"nowhere","badge":"1"}`, nil); code != http.StatusNotFound ||
			len(s.actions()) != before {
			t.Errorf("a device that is none: %d", code)
		}
	})
}
