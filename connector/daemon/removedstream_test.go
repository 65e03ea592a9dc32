package daemon_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/trigger/graph/graphtest"
)

// Somebody removes the stream of decisions while the daemon runs: it goes on, makes the
// stream again, and the console shows what is decided from then on.
func TestDecisionsRemovedWhileInUse(t *testing.T) {
	nats := bustest.External(t)
	o := newOffice(t, graphtest.Calm()).replica(metricsAddr, fmt.Sprintf("url: %q", nats))
	s := o.start(zap.NewNop())
	defer s.end()
	s.register()
	o.print(graphtest.JobSpec{Printer: pullID})
	held := func(jobs int) func() bool {
		return func() bool {
			var list struct{ Jobs []json.RawMessage }
			return s.ask(adminToken, "GET", "/v1/jobs?state=held", "", &list) == http.StatusOK && len(list.Jobs) == jobs
		}
	}
	s.await("a job is held", 20*time.Second, held(1))

	bustest.RemoveStream(t, nats, "PULLPRINT_DECISIONS")
	newest := o.print(graphtest.JobSpec{Printer: pullID})
	s.await("another job is held", time.Minute, held(2))
	s.await("the daemon is ready again", time.Minute, func() bool {
		code, _ := s.get("/readyz")
		return code == http.StatusOK
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: o.net.transport(), Jar: jar}
	defer client.CloseIdleConnections()
	s.await("the console shows the newest decision", 30*time.Second, func() bool {
		res, err := client.PostForm("http://"+s.admin()+"/login", url.Values{"token": {adminToken}})
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		page, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		_, decisions, _ := strings.Cut(string(page), "Decisions")
		return strings.Contains(decisions, `href="/jobs/`+newest.Printer+"/"+newest.Job+`"`)
	})
}
