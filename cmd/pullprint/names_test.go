package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pullprint/connector/admin/apiclient"
)

// A list for people has user names where the daemon tells them, and otherwise object ids; one for
// pipes asks for no name.
func TestUserNamesInLists(t *testing.T) {
	t.Parallel()
	const owners = 2*apiclient.MaxNames + 1
	id := func(i int) string { return fmt.Sprintf("11111111-2222-4333-8444-%012d", i) }
	var asked, status int
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/jobs", func(w http.ResponseWriter, _ *http.Request) {
		var list apiclient.JobList
		for i := range 2 * owners {
			list.Jobs = append(list.Jobs, apiclient.JobEntry{Queue: "Follow-Me", Owner: strings.ToUpper(id(i % owners))})
		}
		_ = json.NewEncoder(w).Encode(list)
	})
	mux.HandleFunc("GET /v1/people", func(w http.ResponseWriter, r *http.Request) {
		asked++
		out := apiclient.UserNames{Names: map[string]string{}}
		ids := strings.Split(r.URL.Query().Get("ids"), ",")
		if len(ids) > apiclient.MaxNames {
			t.Errorf("%d ids in one request", len(ids))
		}
		for _, id := range ids {
			out.Names[id] = "\x1b[31mmember" + id[24:] + "@contoso.com"
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(out)
	})
	api := httptest.NewServer(mux)
	defer api.Close()
	token := file(t, "token", strings.Repeat("a", 32))
	for _, c := range []struct {
		status, asked int
		json          bool
		has, not      string
	}{
		{http.StatusOK, 3, false, "member000000000096@contoso.com ", "11111111-"},
		{http.StatusForbidden, 1, false, "11111111-", "@contoso.com"},
		{http.StatusNotFound, 1, false, "11111111-", "@contoso.com"},
		{http.StatusServiceUnavailable, 1, false, "11111111-", "@contoso.com"},
		{http.StatusOK, 0, true, "11111111-", "@contoso.com"},
	} {
		asked, status = 0, c.status
		args := []string{"jobs", "list", "--url", api.URL, "--token-file", token, fmt.Sprintf("--json=%v", c.json)}
		out, err := runWith(t, "", args...)
		if err != nil || asked != c.asked || !strings.Contains(out, c.has) || strings.Contains(out, c.not) || strings.Contains(out, "\x1b") {
			t.Errorf("%+v: %v, asked %d times\n%.300s", c, err, asked, out)
		}
	}
}
