package admin

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pullprint/connector/admin/apiclient"
	"pullprint/trigger/graph"
)

// An older daemon is asked without a limit that it does not know; what it can't do
// otherwise is told, with its version when it tells that.
func TestOlderDaemon(t *testing.T) {
	t.Parallel()
	tells := true
	known := map[string][]string{
		"/v1/badges": {"owner"}, "/v1/jobs": {"owner", "queue", "state", "limit", "cursor"}, "/v1/badges/import": {"replace"},
	}
	var asked []string
	api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		asked = append(asked, req.URL.RequestURI())
		if req.URL.Path == "/v1/diagnostics" {
			if !tells {
				writeProblem(rw, failure(http.StatusForbidden, "not-allowed", "The token may not do this", ""))
				return
			}
			writeJSON(rw, apiclient.Diagnostics{Version: "v0.9.0"})
			return
		}
		if _, err := Query(req.URL.Query(), known[req.URL.Path]...); err != nil {
			writeProblem(rw, problemOf(err))
			return
		}
		var none struct{}
		if req.Method == http.MethodPost {
			dec := json.NewDecoder(req.Body)
			dec.DisallowUnknownFields()
			if err := dec.Decode(&none); err != nil {
				writeProblem(rw, badRequest("%s", decodeError(err)))
				return
			}
		}
		_, _ = rw.Write([]byte(`{"badges": [{"id": "b1"}]}`))
	}))
	t.Cleanup(api.Close)
	c := apiclient.New(api.URL, "token")
	list, err := c.Badges(t.Context(), "")
	if err != nil || len(list) != 1 || asked[len(asked)-1] != "/v1/badges?owner=" {
		t.Errorf("%v %v %q", list, err, asked)
	}
	for _, version := range []string{", version v0.9.0, ", "program, and"} {
		tells = strings.Contains(version, "v0")
		_, err = c.Jobs(t.Context(), apiclient.JobFilter{Job: "1"}, 10)
		wrong := map[string]error{"unknown parameter job": err}
		_, wrong["unknown parameter as_is"] = c.Import(t.Context(), strings.NewReader("badge\n"), false, false)
		_, wrong["unknown member"] = c.Release(t.Context(), graph.Ref{Printer: "p", Job: "1"}, "d", nil, "")
		for what, err := range wrong {
			if err == nil || !strings.Contains(err.Error(), "the daemon is older than this program") ||
				!strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), version) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}
