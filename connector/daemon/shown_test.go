package daemon_test

import (
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

// That the file is refused is shown with what the daemon is ready for.
func TestRefusedPolicyIsShown(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := newOffice(t, graphtest.Calm()).start(zap.NewNop())
		defer s.end()
		s.register()
		shown := func() bool {
			code, body := s.get("/readyz?verbose")
			return code == 200 && strings.Contains(body, "[!] policy: the file has changed and is refused")
		}
		if shown() {
			t.Error("refused at the start")
		}
		s.write("policy.yaml", "rules: [{name: no\n")
		s.await("the refusal shown", 10*time.Second, shown)
		s.write("policy.yaml", officePolicy)
		s.await("the end of it", 10*time.Second, func() bool { return !shown() })
	})
}

// The console says within a minute that Graph does not answer, and that it does again.
func TestSilenceOfGraphIsShown(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: s.net.transport(), Jar: jar}
		console := func() string {
			t.Helper()
			res, err := client.PostForm("http://"+s.admin()+"/login", url.Values{"token": {adminToken}})
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}
		const wrong = `<p class="wrong" role="alert"><strong translate="no">graph</strong> <span lang="en">`
		silent := func(how string) func() bool {
			return func() bool {
				pass(time.Second) // a page takes longer than await waits between two looks
				return strings.Contains(console(), wrong+how)
			}
		}
		if silent("")() {
			t.Error("silent at the start")
		}
		s.refuse(http.StatusServiceUnavailable, "", false)
		s.await("503 shown", time.Minute+2*time.Second, silent("it answers with status 503, for "))
		if code, body := s.get("/readyz?verbose"); code != http.StatusOK ||
			!strings.Contains(body, "[!] graph: it answers with status 503") {
			t.Errorf("%d %s", code, body)
		}
		s.back()
		s.await("the end of it", 2*time.Minute, func() bool { return !silent("")() })
		s.sim.Unreachable(true)
		s.await("no route shown", time.Minute+2*time.Second, silent("it can&#39;t be reached"))
		s.back()
		s.await("the end of it", 2*time.Minute, func() bool { return !silent("")() })
		s.refuse(http.StatusInternalServerError, "", false)
		s.await("500 to everything shown", 5*time.Minute, silent("it answers everything with status 500, for "))
		s.back()
		s.await("the end of it", 2*time.Minute, func() bool { return !silent("")() })
		s.refuse(http.StatusInternalServerError, "jobs.get", true) // of one kind of call only
		pass(2 * time.Minute)
		if silent("")() {
			t.Error("silent, and it answers")
		}
	})
}

// The console loads itself anew only where there is no filter to type into.
func TestConsoleLeavesTheFilterAlone(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: s.net.transport(), Jar: jar}
		base := "http://" + s.admin()
		res, err := client.PostForm(base+"/login", url.Values{"token": {adminToken}})
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		for path, live := range map[string]bool{"/": false, "/?state=held": false, "/?live=1": true, "/?state=held&live=1": true} {
			res, err := client.Get(base + path)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatal(res.Status, err)
			}
			again, filter := strings.Contains(string(body), `http-equiv="refresh"`), strings.Contains(string(body), `name="owner"`)
			if again != live || filter == live {
				t.Errorf("%s: loaded anew %t, with a filter %t", path, again, filter)
			}
		}
	})
}
