package daemon_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/policy/badge"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// What the directory gives to one person is enrolled for no other, by whatever way, and
// not at all while the directory can't be asked.
func TestEnrolOthersNumber(t *testing.T) {
	racetest.Skip(t, "one badge after the other")
	bustest.Virtual(t, func(t *testing.T) {
		const officeID = "33333333-2222-4333-8444-555555555555"
		in := newOffice(t, graphtest.Calm())
		in.badges = ", entra_attribute: employeeId"
		in.sim.AddUser(graphtest.User{ID: officeID, UPN: "office@contoso.com", EmployeeID: "E1002"})
		in.install("embedded: {store_dir: nats, max_store: 256MiB}")
		o := in.start(zap.NewNop())
		defer o.end()
		o.register()
		put := func(number, owner, more string) int {
			return o.ask(adminToken, "PUT", "/v1/badges", fmt.Sprintf(`{"badge":%q,"owner":%q%s}`, number, owner, more), nil)
		}
		for _, more := range []string{"", `,"replace":true`} {
			if code := put("E1002", studentID, more); code != http.StatusConflict { // office's employeeId
				t.Errorf("enrol%s: %d", more, code)
			}
		}
		var file strings.Builder
		file.WriteString("badge,owner\n")
		for i := range 40 {
			fmt.Fprintf(&file, "N%04d,%s\n", i, studentID)
		}
		var p struct{ Errors []badge.RowError }
		for _, q := range []string{"", "?replace=true"} {
			code := o.ask(adminToken, "POST", "/v1/badges/import"+q, file.String()+"E1002,student@contoso.com\n", &p)
			if code != http.StatusUnprocessableEntity || len(p.Errors) != 1 || p.Errors[0].Line != 42 {
				t.Errorf("import%s: %d %+v", q, code, p)
			}
		}
		var code apiclient.CodeIssued
		o.ask(adminToken, "POST", "/v1/badges/codes", fmt.Sprintf(`{"owner":%q}`, studentID), &code)
		c := o.screen()
		redeem := func(number string) {
			c.get("/enrol")
			c.post("/enrol", url.Values{"code": {code.Code}, "badge": {number}})
		}
		redeem("E1002")
		if c.status != http.StatusConflict {
			t.Errorf("by a code: %d", c.status)
		}
		var list apiclient.BadgeList
		if o.ask(adminToken, "GET", "/v1/badges", "", &list); len(list.Badges) != 0 {
			t.Errorf("enrolled: %+v", list)
		}
		o.refuse(http.StatusServiceUnavailable, "users.list", true)
		if code := put("N1234", studentID, ""); code != http.StatusServiceUnavailable {
			t.Errorf("without a directory: %d", code)
		}
		if code := o.ask(adminToken, "POST", "/v1/badges/import", file.String(), nil); code != http.StatusServiceUnavailable {
			t.Errorf("import without a directory: %d", code)
		}
		redeem("N1234")
		if c.status != http.StatusServiceUnavailable {
			t.Errorf("by a code without a directory: %d", c.status)
		}
		if o.ask(adminToken, "GET", "/v1/badges", "", &list); len(list.Badges) != 0 {
			t.Errorf("enrolled: %+v", list)
		}
		o.sim.Change(func(k *graphtest.Knobs) { k.Intercept = nil })
		pass(time.Minute) // what Graph's Retry-After says, and what locks the reader
		redeem("N1234")   // the code was not used up
		if c.status != http.StatusOK {
			t.Errorf("by the code: %d", c.status)
		}
		if code := put("E1002", officeID, ""); code != http.StatusOK {
			t.Errorf("for whom it is: %d", code)
		}
		if code := o.ask(adminToken, "POST", "/v1/badges/import", file.String()+"E1002,"+officeID+"\n", nil); code != http.StatusOK {
			t.Errorf("import: %d", code)
		}
	})
}

// An object id that no user has is refused where something is stored for it; when Graph
// does not answer, it is taken with a warning.
func TestUnknownOwners(t *testing.T) {
	racetest.Skip(t, "one owner after the other")
	bustest.Virtual(t, func(t *testing.T) {
		o := opened(t, zap.NewNop())
		defer o.end()
		until := time.Now().Add(time.Hour).Format(time.RFC3339)
		for _, id := range []string{westID, "00000000-0000-0000-0000-000000000000"} {
			for _, c := range [][3]string{
				{"PUT", "/v1/badges", `{"badge":"04A21BC399","owner":"` + id + `"}`},
				{"POST", "/v1/badges/codes", `{"owner":"` + strings.ToUpper(id) + `"}`},
				{"POST", "/v1/badges/import", "badge,owner\n04A21BC399," + studentID + "\n04A21BC398," + id + "\n"},
				{"PUT", "/v1/delegations", `{"owner":"` + id + `","to":"` + teacherID + `","expires":"` + until + `"}`},
				{"PUT", "/v1/delegations", `{"owner":"` + teacherID + `","to":"` + id + `","expires":"` + until + `"}`},
				{"POST", "/v1/quotas/" + id + "/adjust", `{"delta":1,"why":"x"}`},
				{"PUT", "/v1/quotas/" + id, `{"limit":1,"why":"x"}`},
			} {
				if code := o.ask(adminToken, c[0], c[1], c[2], nil); code != http.StatusUnprocessableEntity {
					t.Errorf("%s %s %s: %d", c[0], c[1], c[2], code)
				}
			}
			for _, path := range []string{"/v1/badges?owner=" + id, "/v1/quotas/" + id} { // of an account that was deleted
				if code := o.ask(adminToken, "GET", path, "", nil); code != http.StatusOK {
					t.Errorf("%s: %d", path, code)
				}
			}
		}
		pass(2 * time.Minute) // who is known is forgotten
		o.sim.Outage(true)
		defer o.sim.Outage(false)
		if b := o.enrol(teacherID, "04A21BC301"); !strings.Contains(b.Warning, "Entra") {
			t.Errorf("without Graph: %+v", b)
		}
		var done apiclient.Imported
		code := o.ask(adminToken, "POST", "/v1/badges/import", "badge,owner\n04A21BC302,"+teacherID+"\n", &done)
		if code != http.StatusOK || done.Enrolled != 1 || len(done.Warnings) != 1 {
			t.Errorf("import without Graph: %d %+v", code, done)
		}
	})
}
