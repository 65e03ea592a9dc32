package daemon_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/policy/badge"
	"pullprint/trigger/graph/graphtest"
)

// A user name is stored with a badge only when it is its owner's: whoever is looked for by
// name later must not be found in the owner of a badge with a mistyped name.
func TestOwnerNames(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := opened(t, zap.NewNop())
		defer o.end()
		o.sim.AddUser(graphtest.User{ID: teacherID, UPN: "teacher@contoso.com"})
		o.sim.AddUser(graphtest.User{ID: "77777777-2222-4333-8444-555555555555", UPN: "visitor@contoso.com"})
		for _, owner := range []string{teacherID, strings.ToUpper(teacherID), "teacher@contoso.com"} {
			for _, c := range [][3]string{
				{"PUT", "/v1/badges", `{"badge":"04A21BC399","owner":%q,"user_principal_name":%q}`},
				{"POST", "/v1/badges/codes", `{"owner":%q,"user_principal_name":%q}`},
				{"POST", "/v1/badges/import", "badge,owner,user_principal_name\n04A21BC399,%s,%s\n"},
			} {
				for name, want := range map[string]int{
					"visitor@contoso.com": http.StatusUnprocessableEntity, "Teacher@contoso.com": http.StatusOK,
				} {
					body := fmt.Sprintf(strings.ReplaceAll(c[2], "%q", `"%s"`), owner, name)
					if code := o.ask(adminToken, c[0], c[1], body, nil); code != want {
						t.Errorf("%s %s of %s as %s: %d, want %d", c[0], c[1], owner, name, code, want)
					}
				}
			}
		}
		pass(2 * time.Minute) // who is known is forgotten
		o.sim.Outage(true)
		defer o.sim.Outage(false)
		var b badge.Badge
		body := `{"badge":"04A21BC301","owner":"` + teacherID + `","user_principal_name":"visitor@contoso.com"}`
		if code := o.ask(adminToken, "PUT", "/v1/badges", body, &b); code != http.StatusOK || b.UserPrincipalName != "" || b.Warning == "" {
			t.Errorf("without Graph: %d %+v", code, b)
		}
		var done apiclient.Imported
		o.ask(adminToken, "POST", "/v1/badges/import",
			"badge,owner,user_principal_name\n04A21BC302,"+teacherID+",visitor@contoso.com\n", &done)
		var list apiclient.BadgeList
		o.ask(adminToken, "GET", "/v1/badges", "", &list)
		for _, b := range list.Badges {
			if b.UserPrincipalName == "visitor@contoso.com" {
				t.Errorf("stored unchecked: %+v", b)
			}
		}
		if done.Enrolled != 1 || len(done.Warnings) != 1 {
			t.Errorf("import without Graph: %+v", done)
		}
	})
}
