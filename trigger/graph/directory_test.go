package graph

import (
	"net/http"
	"strings"
	"testing"
)

// A look-up that finds nobody, more than one, or is of no use asks or answers
// nothing; the value is in no error.
func TestUserByEmployeeID(t *testing.T) {
	calls := 0
	body, status := `{"value":[]}`, 200
	o := &office{graph: func(int, *http.Request) (*http.Response, error) {
		calls++
		return answer(status, body), nil
	}}
	c, _ := o.client(t)
	for name, c2 := range map[string]struct {
		id, answer string
		calls      int
	}{
		"none":     {"42", `{"value":[]}`, 1},
		"two":      {"42", `{"value":[{"id":"a"},{"id":"b"}]}`, 1},
		"many":     {"42", `{"value":[{"id":"a"},{"id":"b"}],"@odata.nextLink":"https://graph.microsoft.com/v1.0/users?$skiptoken=x"}`, 1},
		"bad id":   {"42", `{"value":[{"id":"../x"}]}`, 1},
		"empty":    {"", `{"value":[{"id":"a"}]}`, 0},
		"too long": {strings.Repeat("4", maxEmployeeID+1), `{"value":[{"id":"a"}]}`, 0},
	} {
		calls, body = 0, c2.answer
		if u, ok, err := c.UserByEmployeeID(t.Context(), c2.id); ok || err != nil || calls != c2.calls {
			t.Errorf("%s: %+v %t %v, %d calls", name, u, ok, err, calls)
		}
	}
	// Pages may be shorter than what was asked for.
	pages := []string{
		`{"value":[],"@odata.nextLink":"https://graph.microsoft.com/v1.0/users?$skiptoken=a"}`,
		`{"value":[{"id":"a","userPrincipalName":"ada@contoso.com"}],"@odata.nextLink":"https://graph.microsoft.com/v1.0/users?$skiptoken=b"}`,
		`{"value":[]}`,
	}
	o.graph = func(int, *http.Request) (*http.Response, error) {
		body, pages = pages[0], pages[1:]
		return answer(200, body), nil
	}
	if u, ok, err := c.UserByEmployeeID(t.Context(), strings.Repeat("ü", maxEmployeeID)); !ok || err != nil || u.UserPrincipalName != "ada@contoso.com" {
		t.Errorf("pages: %+v %t %v", u, ok, err)
	}
	pages = []string{
		`{"value":[{"id":"a"}],"@odata.nextLink":"https://graph.microsoft.com/v1.0/users?$skiptoken=a"}`,
		`{"value":[{"id":"b"}]}`,
	}
	if u, ok, err := c.UserByEmployeeID(t.Context(), "42"); ok || err != nil {
		t.Errorf("two, a page each: %+v %t %v", u, ok, err)
	}
	o.graph = func(int, *http.Request) (*http.Response, error) { return answer(status, body), nil }
	status, body = 403, `{"error":{"code":"Authorization_RequestDenied","message":"PLANTED"}}`
	if _, ok, err := c.UserByEmployeeID(t.Context(), "PLANTED"); ok || err == nil || strings.Contains(err.Error(), "PLANTED") {
		t.Errorf("%t %v", ok, err)
	}
}
