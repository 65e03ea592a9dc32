package admin

import (
	"errors"
	"net/http"
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
		err := a.ClientFor(who).call(t.Context(), http.MethodPut, "/v1/thing", map[string]string{"Note": "x"}, &struct{}{})
		var p *Problem
		switch got := errors.As(err, &p); {
		case c.want == http.StatusOK && (err != nil || by.Person != "bert"):
			t.Errorf("%s: %v, carried out for %+v", c.role, err, by)
		case c.want != http.StatusOK && (!got || p.Status != c.want || by.Name != ""):
			t.Errorf("%s: %v, carried out for %+v", c.role, err, by)
		}
	}
}
