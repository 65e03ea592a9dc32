package daemon_test

import (
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/policy/badge"
	"pullprint/trigger/graph/graphtest"
)

// A date alone ends a badge with that day in the policy's zone, and the answer says so. A
// file or body in another encoding is refused, and no number of it is stored.
func TestBadgeFile(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		in := newOffice(t, graphtest.Calm())
		in.write("policy.yaml", "zone: Europe/Zurich\n"+officePolicy)
		o := in.start(zap.NewNop())
		o.register()
		defer o.end()
		zurich, err := time.LoadLocation("Europe/Zurich")
		if err != nil {
			t.Fatal(err)
		}
		last := time.Now().In(zurich).AddDate(0, 0, 3)
		var done apiclient.Imported
		file := "badge,owner,expires\n04A21BC310," + teacherID + "," + last.Format(time.DateOnly) + "\n"
		code := o.ask(adminToken, "POST", "/v1/badges/import", file, &done)
		if code != http.StatusOK || done.Enrolled != 1 || done.DatesIn != "Europe/Zurich" {
			t.Errorf("import: %d %+v", code, done)
		}
		var list struct{ Badges []badge.Badge }
		o.ask(adminToken, "GET", "/v1/badges", "", &list)
		y, m, d := last.Date()
		if len(list.Badges) != 1 || !list.Badges[0].Expires.Equal(time.Date(y, m, d, 23, 59, 59, 0, zurich)) {
			t.Errorf("enrolled: %+v", list)
		}
		for _, c := range []struct {
			method, path, body string
			code               int
		}{
			{"POST", "/v1/badges/import", "badge,owner\n04A2\xe0\xe9," + teacherID + "\n", http.StatusUnprocessableEntity},
			{"PUT", "/v1/badges", `{"badge":"04A2` + "\xe0\xe9" + `","owner":"` + teacherID + `"}`, http.StatusBadRequest},
			{"PUT", "/v1/badges", `{"badge":"04A2\ud800\udfff\ud800","owner":"` + teacherID + `"}`, http.StatusUnprocessableEntity},
			{"PUT", "/v1/badges", `{"badge":"04A2\ufffd\ufffd","owner":"` + teacherID + `"}`, http.StatusUnprocessableEntity},
			{"POST", "/v1/taps", `{"device":"hq-2-west","badge":"04A2` + "\xe0\xe9" + `"}`, http.StatusBadRequest},
			{"POST", "/v1/taps", `{"device":"hq-2-west","badge":"04A2\ud800\ud800"}`, http.StatusOK}, // as an unknown one
		} {
			if code := o.ask(adminToken, c.method, c.path, c.body, nil); code != c.code {
				t.Errorf("%s %s %q: %d", c.method, c.path, c.body, code)
			}
		}
		if o.ask(adminToken, "GET", "/v1/badges", "", &list); len(list.Badges) != 1 {
			t.Errorf("enrolled: %+v", list)
		}
	})
}
