package daemon_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// namingPeople are the routes that take a person, with a request in which %s is the person. A tap is not
// there: who has no card is told nothing about who exists.
var namingPeople = []struct{ route, path, body string }{
	{"GET /v1/jobs", "/v1/jobs?owner=%s", ""},
	{"GET /v1/badges", "/v1/badges?owner=%s", ""},
	{"PUT /v1/badges", "/v1/badges", `{"badge":"04A21BC399","owner":"%s"}`},
	{"POST /v1/badges/codes", "/v1/badges/codes", `{"owner":"%s"}`},
	{"POST /v1/badges/import", "/v1/badges/import", "badge,owner\n04A21BC399,%s\n"},
	{"DELETE /v1/badges", "/v1/badges", `{"owner":"%s"}`},
	{"PUT /v1/delegations", "/v1/delegations", `{"owner":"%s","to":"` + teacherID + `","expires":"EXPIRES"}`},
	{"GET /v1/delegations", "/v1/delegations?owner=%s", ""},
	{"DELETE /v1/delegations", "/v1/delegations", `{"owner":"%s","to":"` + teacherID + `"}`},
	{"PUT /v1/delegations", "/v1/delegations", `{"owner":"` + teacherID + `","to":"%s","expires":"EXPIRES"}`},
	{"GET /v1/delegations", "/v1/delegations?to=%s", ""},
	{"DELETE /v1/delegations", "/v1/delegations", `{"owner":"` + teacherID + `","to":"%s"}`},
	{"GET /v1/quotas/{account}", "/v1/quotas/%s", ""},
	{"PUT /v1/quotas/{account}", "/v1/quotas/%s", `{"limit":5,"why":"x"}`},
	{"POST /v1/quotas/{account}/adjust", "/v1/quotas/%s/adjust", `{"delta":5,"why":"x"}`},
	{"GET /v1/quotas/{account}/history", "/v1/quotas/%s/history", ""},
	{"GET /v1/pins/{user}", "/v1/pins/%s", ""},
	{"POST /v1/pins/{user}/unlock", "/v1/pins/%s/unlock", `{}`},
	{"DELETE /v1/pins/{user}", "/v1/pins/%s", `{}`},
	{"GET /v1/people/{user}", "/v1/people/%s", ""},
	{"POST /v1/people/{user}/export", "/v1/people/%s/export", ""},
	{"POST /v1/people/{user}/end-sessions", "/v1/people/%s/end-sessions", `{}`},
	{"POST /v1/people/{user}/erase", "/v1/people/%s/erase", `{}`},
}

// Every route that takes a person takes an object id and a user name, and refuses a name that nobody
// has; the list has every such route of the OpenAPI file.
func TestPeopleNamedAnywhere(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		s.sim.AddUser(graphtest.User{ID: teacherID, UPN: "teacher@contoso.com"})
		listed := map[string]bool{"POST /v1/taps": true, "POST /v1/badges/import": true} // CSV has no members
		for _, c := range namingPeople {
			listed[c.route] = true
			method, _, _ := strings.Cut(c.route, " ")
			body := strings.Replace(c.body, "EXPIRES", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), 1)
			asks := func(user string, good bool) {
				t.Helper()
				fill := func(text string) string { return strings.Replace(text, "%s", user, 1) }
				if code := s.ask(adminToken, method, fill(c.path), fill(body), nil); code != http.StatusOK && good || code/100 != 4 && !good {
					t.Errorf("%s of %s: %d", c.route, user, code)
				}
			}
			asks("jdoe", false)
			asks("nobody@contoso.com", false)
			asks("Student@Contoso.com", true)
			if method != http.MethodDelete { // it is gone
				asks(studentID, true)
				asks(strings.ToUpper(studentID), true)
			}
		}
		for _, route := range s.routesAboutPeople() {
			if !listed[route] {
				t.Errorf("%s takes a person and is not in the list", route)
			}
			delete(listed, route)
		}
		delete(listed, "POST /v1/badges/import")
		if len(listed) > 0 {
			t.Errorf("the list has %v, which take nobody", slices.Sorted(maps.Keys(listed)))
		}
	})
}

// routesAboutPeople are those that take a person, as the OpenAPI file names them.
func (o *office) routesAboutPeople() (routes []string) {
	type named struct{ Name string }
	var file struct {
		Paths map[string]map[string]struct {
			Parameters  []named
			RequestBody struct {
				Content map[string]struct {
					Schema struct{ Properties map[string]any }
				}
			}
		}
	}
	o.ask(adminToken, "GET", "/v1/openapi.json", "", &file)
	for path, methods := range file.Paths {
		for method, operation := range methods {
			var names []string
			for _, p := range operation.Parameters {
				names = append(names, p.Name)
			}
			for _, body := range operation.RequestBody.Content {
				names = slices.AppendSeq(names, maps.Keys(body.Schema.Properties))
			}
			if slices.ContainsFunc(names, func(n string) bool {
				return slices.Contains([]string{"owner", "to", "user", "account"}, n)
			}) {
				routes = append(routes, strings.ToUpper(method)+" "+path)
			}
		}
	}
	return routes
}

// User names are told to those who run the service, of whom Entra knows and in time; each is asked for once a minute.
func TestUserNames(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		nobody := "77777777-2222-4333-8444-555555555555"
		names := func(ids ...string) map[string]string {
			t.Helper()
			var out apiclient.UserNames
			if code := s.ask(adminToken, "GET", "/v1/people?ids="+strings.Join(ids, ","), "", &out); code != http.StatusOK {
				t.Errorf("%v: %d", ids, code)
			}
			return out.Names
		}
		pass(2 * time.Minute) // who is known is forgotten
		s.sim.ForgetCalls()
		for range 3 {
			got := names(strings.ToUpper(studentID), studentID)
			if len(got) != 1 || got[studentID] != "student@contoso.com" {
				t.Errorf("%v", got)
			}
		}
		if n := s.sim.Calls(graphtest.OpUserGet); n != 1 {
			t.Errorf("Entra was asked %d times", n)
		}
		if got := names(nobody); len(got) != 0 {
			t.Errorf("of nobody: %v", got)
		}
		for _, ids := range []string{"", "jdoe", studentID + ",", strings.Repeat(studentID+",", apiclient.MaxNames) + studentID} {
			if code := s.ask(adminToken, "GET", "/v1/people?ids="+ids, "", nil); code != http.StatusBadRequest {
				t.Errorf("%.40q: %d", ids, code)
			}
		}
		pass(2 * time.Minute)
		s.sim.Change(func(k *graphtest.Knobs) { k.Latency = time.Minute })
		from := time.Now()
		if got := names(studentID); len(got) != 0 || time.Since(from) > 2*time.Second {
			t.Errorf("of a slow directory: %v after %v", got, time.Since(from))
		}
	})
}
