package daemon_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/policy/badge"
	"pullprint/trigger/graph/graphtest"
)

// A person is named by an object id, in any case of its letters, or by a user name
// that Entra knows; any other word is refused wherever it can be written, and nothing
// is done.
func TestOwners(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := opened(t, zap.NewNop())
		defer o.end()
		o.sim.AddUser(graphtest.User{ID: teacherID, UPN: "teacher@contoso.com"})
		upper := strings.ToUpper(teacherID)
		for _, word := range []string{"jdoe", "nobody@contoso.com", "*", "a b", studentID[:35], "urn:" + studentID} {
			for _, c := range [][3]string{
				{"PUT", "/v1/badges", `{"badge":"04A21BC399","owner":%q}`},
				{"POST", "/v1/badges/codes", `{"owner":%q}`},
				{"PUT", "/v1/delegations", `{"owner":%q,"to":"` + teacherID + `","expires":"2099-01-01T00:00:00Z"}`},
				{"PUT", "/v1/delegations", `{"owner":"` + teacherID + `","to":%q,"expires":"2099-01-01T00:00:00Z"}`},
				{"POST", "/v1/badges/import", "badge,owner\n04A21BC399,%s\n"},
				{"DELETE", "/v1/badges", `{"owner":%q}`},
			} {
				var p struct{ Detail string }
				if code := o.ask(adminToken, c[0], c[1], fmt.Sprintf(c[2], word), &p); code != http.StatusUnprocessableEntity {
					t.Errorf("%s %s of %q: %d %+v", c[0], c[1], word, code, p)
				}
			}
		}
		for _, path := range []string{"/v1/quotas/jdoe", "/v1/jobs?owner=jdoe", "/v1/badges?owner=jdoe"} {
			if code := o.ask(adminToken, "GET", path, "", nil); code/100 != 4 {
				t.Errorf("%s: %d", path, code)
			}
		}
		if code := o.ask(adminToken, "POST", "/v1/quotas/jdoe/adjust", `{"delta":1,"why":"x"}`, nil); code != http.StatusBadRequest {
			t.Errorf("adjust: %d", code)
		}

		for i, user := range []string{teacherID, upper, "Teacher@Contoso.com"} {
			if b := o.enrol(user, fmt.Sprintf("04A21BC30%d", i)); b.Owner != teacherID {
				t.Errorf("enrolled for %s: %+v", user, b)
			}
			var list struct{ Badges []badge.Badge }
			if o.ask(adminToken, "GET", "/v1/badges?owner="+user, "", &list); len(list.Badges) != i+1 {
				t.Errorf("badges of %s: %+v", user, list)
			}
			var account struct{ Account string }
			if code := o.ask(adminToken, "POST", "/v1/quotas/"+user+"/adjust", `{"delta":1,"why":"x"}`, &account); code != http.StatusOK ||
				account.Account != teacherID {
				t.Errorf("adjust %s: %d %+v", user, code, account)
			}
		}
		var done apiclient.Imported
		if code := o.ask(adminToken, "POST", "/v1/badges/import", "badge,owner\n04A21BC310,teacher@contoso.com\n04A21BC311,"+upper+"\n",
			&done); code != http.StatusOK || done.Enrolled != 2 {
			t.Errorf("import: %d %+v", code, done)
		}
		var d struct{ Owner, To string }
		if code := o.ask(adminToken, "PUT", "/v1/delegations", `{"owner":"student@contoso.com","to":"`+upper+`","expires":"`+
			time.Now().Add(time.Hour).Format(time.RFC3339)+`"}`, &d); code != http.StatusOK || d.Owner != studentID || d.To != teacherID {
			t.Errorf("delegate: %d %+v", code, d)
		}
		var jobs struct{ Jobs []json.RawMessage }
		if code := o.ask(adminToken, "GET", "/v1/jobs?owner=teacher@contoso.com", "", &jobs); code != http.StatusOK {
			t.Errorf("jobs: %d", code)
		}
		if code := o.ask(adminToken, "GET", "/v1/jobs?queue=Folow-Me", "", nil); code != http.StatusNotFound {
			t.Errorf("a queue that is not there: %d", code)
		}
	})
}

// A reader that types in another keyboard layout than its host is told of in the log, an
// hour apart, and in a metric; its numbers nowhere. Enrolling such a badge warns.
func TestOddBadges(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.WarnLevel)
		o := opened(t, zap.New(core))
		defer o.end()
		typed := `&é"'(-è_çà`
		for range 3 {
			if _, code := o.tap(typed); code != http.StatusOK {
				t.Fatal(code)
			}
			pass(time.Minute)
		}
		if _, page := o.get("/metrics"); !strings.Contains(page, `pullprint_odd_badges_total{device="hq-2-west"} 3`) {
			t.Error("not counted")
		}
		told := logs.FilterMessage("reader tells numbers that no card has").All()
		if len(told) != 1 {
			t.Errorf("told %d times", len(told))
		}
		for _, e := range logs.All() {
			if strings.Contains(fmt.Sprint(e.Message, e.ContextMap()), typed) {
				t.Errorf("the number is in the log: %v", e)
			}
		}
		if b := o.enrol(studentID, typed); !strings.Contains(b.Warning, "keyboard layout") {
			t.Errorf("enrolled: %+v", b)
		}
		if b := o.enrol(studentID, "04A21BC377"); b.Warning != "" {
			t.Errorf("enrolled: %+v", b)
		}
	})
}
