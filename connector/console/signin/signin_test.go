package signin

import (
	"net/http/httptest"
	"testing"
)

// Whoever signs in instead of sending a form gets to a page that there is.
func TestWayBack(t *testing.T) {
	for form, want := range map[string]string{
		"/me/jobs/p/j/cancel": "/me", "/me/lend/find": "/me/lend", "/me/lend": "/me", "/me/print": "/me",
		"/jobs/bulk": "/", "/jobs/p/j/cancel": "/jobs/p/j", "/people/1/revoke": "/people/1",
		"/accounts/group.a/adjust": "/accounts/group.a",
	} {
		if got := wayBack(httptest.NewRequest("POST", form, nil)); got != want {
			t.Errorf("%s leads to %s, want %s", form, got, want)
		}
	}
	if got := wayBack(httptest.NewRequest("GET", "/?owner=anna", nil)); got != "/?owner=anna" {
		t.Errorf("a page leads to %s", got)
	}
}
