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
		"bad id":   {"42", `{"value":[{"id":"../x"}]}`, 1},
		"empty":    {"", `{"value":[{"id":"a"}]}`, 0},
		"too long": {strings.Repeat("4", maxEmployeeID+1), `{"value":[{"id":"a"}]}`, 0},
	} {
		calls, body = 0, c2.answer
		if u, ok, err := c.UserByEmployeeID(t.Context(), c2.id); ok || err != nil || calls != c2.calls {
			t.Errorf("%s: %+v %t %v, %d calls", name, u, ok, err, calls)
		}
	}
	status, body = 403, `{"error":{"code":"Authorization_RequestDenied","message":"PLANTED"}}`
	if _, ok, err := c.UserByEmployeeID(t.Context(), "PLANTED"); ok || err == nil || strings.Contains(err.Error(), "PLANTED") {
		t.Errorf("%t %v", ok, err)
	}
}
