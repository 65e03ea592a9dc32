package daemon_test

import (
	"html"
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
	"pullprint/trigger/racetest"
)

// Who releases another's job at the console that costs more than is left is told so of its owner, who
// is named, on the answer and wherever the console shows why.
func TestConsoleReleaseOverBudget(t *testing.T) {
	racetest.Skip(t, "one page after the other")
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.write("policy.yaml", officePolicy+`
prices: {page: 1}
allowances: [{name: students, when: '"students" in user.groups', pages: 30, every: week}]
unmatched: free
`)
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		s.print(graphtest.JobSpec{Printer: pullID, Pages: 31})
		s.await("a job", 10*time.Second, func() bool { return len(s.all()) == 1 })
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		client, base := &http.Client{Transport: s.net.transport(), Jar: jar}, "http://"+s.admin()
		page := func(res *http.Response, err error) string {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			text, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			return html.UnescapeString(string(text))
		}
		page(client.PostForm(base+"/login", url.Values{"token": {adminToken}}))
		job := base + "/jobs/" + pullID + "/" + s.all()[0].Job
		answer := page(client.PostForm(job+"/release", url.Values{"device": {"hq-2-west"}}))
		const told = "This job costs 31 pages, and its owner has 30 pages left until "
		const owner = `student</a> <small class="muted">` + studentID
		for where, text := range map[string]string{"answer": answer, "job": page(client.Get(job)), "console": page(client.Get(base))} {
			if !strings.Contains(text, told) || strings.Contains(text, "you have") || !strings.Contains(text, owner) {
				t.Errorf("%s:\n%s", where, text)
			}
		}
	})
}
