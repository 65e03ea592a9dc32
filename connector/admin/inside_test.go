package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"

	"pullprint/connector/access"
)

// A page acts in the name of who looks at it, and with no other role than theirs; nothing that a
// request from outside can say makes it one of a page.
func TestClientForPage(t *testing.T) {
	a := NewAPI(Deps{Logger: zap.NewNop()})
	var by access.Caller
	a.mount([]route{
		changes("PUT", "/v1/thing", forOperate, "change", func(_ *API, r *request) (any, error) {
			by = r.caller
			var in struct{ Note string }
			return map[string]string{}, r.decode(&in)
		}),
	})
	for _, c := range []struct {
		role access.Role
		want int
	}{{"", 403}, {access.RoleRead, 403}, {access.RoleOperate, 200}, {access.RoleAdmin, 200}} {
		by = access.Caller{}
		who := access.Caller{Name: "bert", Person: "bert", Role: c.role}
		req := httptest.NewRequest(http.MethodPut, "/v1/thing", strings.NewReader(`{"Note": "x"}`))
		req.Header.Set("Content-Type", "application/json")
		res, err := inside{a, who}.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if done := by.Person == "bert"; res.StatusCode != c.want || done != (c.want == http.StatusOK) {
			t.Errorf("%s: %d, carried out for %+v", c.role, res.StatusCode, by)
		}
	}
}
