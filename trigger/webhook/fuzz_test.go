package webhook

import (
	"net/http"
	"strings"
	"testing"

	"pullprint/trigger/fuzztest"
)

// FuzzPost: whatever is posted, nothing panics and nothing is stored but what carries the secret of
// the subscription and was answered with 202.
func FuzzPost(f *testing.F) {
	for _, body := range []string{
		post(item("a")), post(item("a"), item("b"), item("a")), post(item("a", secret, "wrong")), post(item("a", tenant, "another")),
		`{"value":[]}`, `{"value":null}`, `{}`, `[`, "", post("1"), post(`{"lifecycleEvent":"missed","subscriptionId":"` + subID + `"}`),
		`{"value":[` + item("a") + `],"value":[` + item("b") + `]}`, post(item("a")) + post(item("b")), strings.Repeat("[", 20_000),
	} {
		f.Add("", []byte(body))
	}
	f.Add("?validationToken=x", []byte(""))
	f.Add("?validationToken=%3Cscript%3E", []byte("x"))
	w := newWorld(f, "https://print.example.com/graph/notifications")
	stop := w.follow(f)
	f.Cleanup(stop)
	watch := fuzztest.New(f, fuzztest.Limit{Time: fuzztest.Small.Time, Heap: 8 * maxBody})
	f.Fuzz(func(t *testing.T, query string, body []byte) {
		if strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r > '~' }) || (query != "" && query[0] != '?') {
			return // no line of a request
		}
		defer watch.Input(t)()
		w.store.bodies = map[string]string{}
		rec := w.do(http.MethodPost, "/graph/notifications"+query, string(body))
		if rec.Code >= 500 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
		if len(w.store.bodies) > 0 && rec.Code != http.StatusAccepted {
			t.Errorf("%d, and %d are stored", rec.Code, len(w.store.bodies))
		}
		for key, stored := range w.store.bodies {
			if !strings.Contains(stored, secret) {
				t.Errorf("%s: without the secret: %s", key, stored)
			}
		}
	})
}
