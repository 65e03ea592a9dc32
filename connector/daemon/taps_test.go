package daemon_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/release"
	"pullprint/policy/badge"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

// number is the card of the student; it must be found nowhere.
const number = "04PLANTED7731"

func (o *office) enrol(owner, number string) badge.Badge {
	o.t.Helper()
	var b badge.Badge
	if code := o.ask(adminToken, "PUT", "/v1/badges", fmt.Sprintf(`{"badge":%q,"owner":%q}`, number, owner), &b); code != http.StatusOK {
		o.t.Fatalf("enrol: %d", code)
	}
	return b
}

// tap shows a badge at the west device.
func (o *office) tap(number string) (out release.Outcome, status int) {
	o.t.Helper()
	status = o.ask(readerToken, "POST", "/v1/taps", fmt.Sprintf(`{"badge":%q}`, number), &out)
	return out, status
}

// opened is an installation with a daemon that is registered and a student whose badge
// is enrolled.
func opened(t *testing.T, log *zap.Logger) *shift {
	t.Helper()
	return newOffice(t, graphtest.Calm()).opened(log)
}

// opened starts the daemon, puts the triggers on and enrols the student.
func (o *office) opened(log *zap.Logger) *shift {
	o.t.Helper()
	s := o.start(log)
	s.register()
	o.enrol(studentID, number)
	return s
}

func (s *shift) hold(n int) (ids []graphtest.JobID) {
	s.t.Helper()
	before := len(s.all())
	for range n {
		ids = append(ids, s.print(graphtest.JobSpec{Printer: pullID}))
	}
	s.await("jobs held", 10*time.Second, func() bool { return len(s.all()) == before+n })
	pass(time.Millisecond) // the index knows them too
	return ids
}

// The paper waits until its owner stands at the printer, and the whole life of
// the job can be told.
func TestTapOverHTTP(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		ids := s.hold(3)
		if paper := s.sim.Paper(); len(paper) != 0 {
			t.Fatalf("paper before the tap: %v", paper)
		}
		pass(time.Second)
		out, status := s.tap(number)
		if status != http.StatusOK || len(out.Released) != 3 || out.Owner != studentID {
			t.Fatalf("%d %+v", status, out)
		}
		for i, r := range out.Released {
			if r.Job != ids[i].Job || r.Queue != "Follow-Me" || r.Destination != westID || r.DestinationJob == "" {
				t.Errorf("released %+v", r)
			}
		}
		again, status := s.tap(number)
		if status != http.StatusOK || len(again.Released) != 3 {
			t.Errorf("a repeat within seconds: %d %+v", status, again)
		}
		pass(time.Minute)
		for _, id := range ids {
			if n := s.sim.Prints(id); n != 1 {
				t.Errorf("job %v printed %d times", id, n)
			}
		}
		var d apiclient.JobDetail
		if code := s.ask(adminToken, "GET", "/v1/jobs/"+ids[0].Printer+"/"+ids[0].Job, "", &d); code != http.StatusOK || !d.Complete {
			t.Fatalf("%d %+v", code, d)
		}
		var told []string
		for _, e := range d.Trace {
			switch e.Kind {
			case "state":
				told = append(told, string(e.State))
			case "decision":
				told = append(told, e.Verdict)
			default:
				told = append(told, e.Kind)
			}
		}
		// The second "released" is the end on paper, which the sweep saw: the state stays.
		if got := strings.Join(told, " "); got != "created hold held redirect releasing released released" {
			t.Errorf("trace: %s", got)
		}
		_, metrics := s.get("/metrics")
		for _, line := range []string{
			`pullprint_taps_total{device="hq-2-west",result="released"} 1`,
			`pullprint_taps_total{device="hq-2-west",result="repeated"} 1`,
			`pullprint_decisions_total{point="release",queue="Follow-Me",reason="",rule="",verdict="redirect"} 3`,
			`pullprint_held_jobs{queue="Follow-Me"} 0`,
		} {
			if !strings.Contains(metrics, line) {
				t.Errorf("metrics lack %s", line)
			}
		}
	})
}

// An unknown badge, a revoked one, and a person without jobs can't be told apart
// by the reader; five unknown ones lock it for a minute.
func TestQuietAnswers(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		revoked := s.enrol(teacherID, "2222")
		if code := s.ask(adminToken, "DELETE", "/v1/badges", fmt.Sprintf(`{"id":%q}`, revoked.ID), nil); code != http.StatusOK {
			t.Fatal(code)
		}
		var first string
		var took time.Duration
		for i, n := range []string{number, "3333", "2222"} {
			start := time.Now()
			out, status := s.tap(n)
			got := fmt.Sprintf("%d %+v", status, out)
			if i == 0 {
				first, took = got, time.Since(start)
			}
			if got != first || time.Since(start) != took || took < 200*time.Millisecond {
				t.Errorf("%s after %s, want %s after %s", got, time.Since(start), first, took)
			}
		}
		for i := range 4 { // with 3333 it is five
			if _, status := s.tap(fmt.Sprint("unknown-", i)); status != http.StatusOK {
				t.Fatalf("unknown badge %d: %d", i, status)
			}
		}
		s.hold(1)
		var p struct{ Type string }
		if code := s.ask(readerToken, "POST", "/v1/taps", `{"badge":"`+number+`"}`, &p); code != http.StatusTooManyRequests ||
			p.Type != "urn:pullprint:problem:reader-locked" {
			t.Errorf("locked: %d %+v", code, p)
		}
		if code := s.ask(adminToken, "POST", "/v1/taps", `{"device":"hq-2-east","badge":"none"}`, nil); code != http.StatusOK {
			t.Errorf("another reader: %d", code)
		}
		pass(time.Minute)
		if out, status := s.tap(number); status != http.StatusOK || len(out.Released) != 1 {
			t.Errorf("after a minute: %d %+v", status, out)
		}
	})
}

// The token of a reader moves paper at its device only, and opens nothing else.
func TestReaderToken(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		s.hold(1)
		for path, want := range map[string]int{
			`POST /v1/taps {"device":"hq-2-east","badge":"` + number + `"}`: http.StatusForbidden,
			`GET /v1/jobs `:     http.StatusForbidden,
			`PUT /v1/badges {}`: http.StatusForbidden,
		} {
			part := strings.SplitN(path, " ", 3)
			if code := s.ask(readerToken, part[0], part[1], part[2], nil); code != want {
				t.Errorf("%s: %d, want %d", path, code, want)
			}
		}
		if code := s.ask(adminToken, "POST", "/v1/taps", `{"device":"hq-9","badge":"1"}`, nil); code != http.StatusNotFound {
			t.Errorf("a device that is not configured: %d", code)
		}
		if paper := s.sim.Paper(); len(paper) != 0 {
			t.Errorf("paper: %v", paper)
		}
	})
}

// A badge that is not enrolled is looked up by the employee id, if configured.
func TestDirectoryLookup(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.badges = ", normalise: [trim], entra_attribute: employeeId"
		o.install("embedded: {store_dir: nats, max_store: 256MiB}")
		s := o.start(zap.NewNop())
		defer s.end()
		s.register()
		if _, err := s.sim.Submit(graphtest.JobSpec{Printer: pullID, User: teacherID}); err != nil {
			t.Fatal(err)
		}
		s.await("held", 10*time.Second, func() bool { return len(s.all()) == 1 })
		if out, status := s.tap(" E77 "); status != http.StatusOK || len(out.Released) != 1 || out.Owner != teacherID {
			t.Errorf("%d %+v", status, out)
		}
		if out, status := s.tap("E78"); status != http.StatusOK || !out.Empty() {
			t.Errorf("%d %+v", status, out)
		}
		if n := s.sim.Calls("users.list"); n != 2 {
			t.Errorf("%d look-ups", n)
		}
	})
}

// The end of a hold is told before it comes, with an embedded store too: the notice is stored, and
// counted.
func TestExpiryIsTold(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		o := newOffice(t, graphtest.Calm())
		o.edit("hold_for: 1h", "hold_for: 5m")
		s := o.opened(zap.New(core))
		defer s.end()
		id := s.hold(1)[0]
		pass(7 * time.Minute)
		_, m := s.get("/metrics")
		for _, want := range []string{
			`pullprint_expiry_warnings_total{queue="Follow-Me"} 1`,
			`pullprint_notices_total{channel="nats",kind="hold.ending",result="sent"} 1`,
			`pullprint_notices_total{channel="nats",kind="hold.expired",result="sent"} 1`,
		} {
			if !strings.Contains(m, want) {
				t.Errorf("the metrics don't have %s", want)
			}
		}
		if n := logs.FilterMessageSnippet("notice about the end of the hold stored").Len(); n != 1 {
			t.Errorf("the notice is logged %d times", n)
		}
		if job, _ := s.sim.Job(id); job.State != "aborted" || !strings.Contains(job.Reason, "hold.expired") {
			t.Errorf("%s %q", job.State, job.Reason)
		}
	})
}

// The number of a card is found nowhere: not in what is stored, logged, counted
// or answered, whatever is done with it.
func TestNumbersAreNowhere(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		var logged bytes.Buffer
		log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(&logged)),
			zap.DebugLevel))
		s := opened(t, log)
		s.hold(2)
		var seen strings.Builder
		note := func(token, method, path, body string) {
			var v any
			code := s.ask(token, method, path, body, &v)
			fmt.Fprintln(&seen, method, path, code, v)
		}
		note(readerToken, "POST", "/v1/taps", `{"badge":"`+number+`"}`)
		note(readerToken, "POST", "/v1/taps", `{"badge":"x`+number+`"}`)
		note(adminToken, "PUT", "/v1/badges", `{"badge":"`+number+`","owner":"`+teacherID+`"}`)
		note(adminToken, "PUT", "/v1/badges", `{"badge":"`+number+`","owner":"not an id"}`)
		note(adminToken, "POST", "/v1/badges/import", "badge,owner\n"+number+",\n"+number+","+teacherID+"\n")
		note(adminToken, "POST", "/v1/badges/import", number+","+teacherID+"\n")
		note(adminToken, "DELETE", "/v1/badges", `{"badge":"`+number+`"}`)
		note(adminToken, "GET", "/v1/badges", "")
		note(adminToken, "GET", "/v1/audit", "")
		note(adminToken, "GET", "/v1/decisions", "")
		_, metrics := s.get("/metrics")
		s.end()
		for what, text := range map[string]string{"answers": seen.String(), "log": logged.String(), "metrics": metrics} {
			if strings.Contains(text, "PLANTED") || text == "" {
				t.Errorf("a card number is in the %s:\n%s", what, text)
			}
		}
		files := 0
		store := os.DirFS(filepath.Join(s.dir, "nats"))
		err := fs.WalkDir(store, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			text, err := fs.ReadFile(store, path)
			if bytes.Contains(text, []byte("PLANTED")) {
				t.Errorf("a card number is in %s", path)
			}
			return err
		})
		if err != nil || files < 10 {
			t.Errorf("%d files, %v", files, err)
		}
	})
}

// A key file that lacks the key of stored badges makes the daemon unready, and
// says what to do; jobs are taken in and held all the while. With the old key as
// a further line everything works; or those badges are given up.
func TestBadgeKeyChanged(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		s.end()
		s.write("badge-key", strings.Repeat("6b", 32))
		s = s.start(zap.NewNop())
		said := regexp.MustCompile(`\[-\] badges: .* 1 badge was enrolled under key ([0-9a-f]{8}).* put the old key back`)
		page := ""
		s.await("unready", time.Minute, func() bool {
			_, page = s.get("/readyz")
			return said.MatchString(page) && !strings.Contains(page, "[-] sub")
		})
		s.hold(1)
		if out, status := s.tap(number); status != http.StatusOK || !out.Empty() {
			t.Errorf("a badge under the lost key: %d %+v", status, out)
		}
		s.end()
		s.write("badge-key", strings.Repeat("6b", 32)+"\n"+strings.Repeat("5a", 32))
		s = s.start(zap.NewNop())
		s.await("ready", time.Minute, func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK })
		s.enrol(teacherID, "2222") // under the new key
		s.end()
		s.write("badge-key", strings.Repeat("6b", 32))
		s = s.start(zap.NewNop())
		defer func() { s.end() }()
		s.await("unready again", time.Minute, func() bool { _, page = s.get("/readyz"); return said.MatchString(page) })
		key := said.FindStringSubmatch(page)[1]
		if code := s.ask(adminToken, "DELETE", "/v1/badges", fmt.Sprintf(`{"key_id":%q}`, key), nil); code != http.StatusOK {
			t.Errorf("give the badges up: %d", code)
		}
		s.await("ready after all", time.Minute, func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK })
	})
}

// Pages of lists lose nothing and repeat nothing, and filters filter.
func TestJobPages(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := opened(t, zap.NewNop())
		defer s.end()
		s.hold(7)
		s.await("in the index", time.Minute, func() bool {
			var page apiclient.JobList
			return s.ask(adminToken, "GET", "/v1/jobs?state=held", "", &page) == http.StatusOK && len(page.Jobs) == 7
		})
		seen := map[graph.Ref]bool{}
		cursor := ""
		for range 4 {
			var page apiclient.JobList
			if code := s.ask(adminToken, "GET", "/v1/jobs?state=held&limit=2&cursor="+cursor, "", &page); code != http.StatusOK {
				t.Fatal(code)
			}
			for _, j := range page.Jobs {
				if seen[j.Ref] {
					t.Errorf("%v twice", j.Ref)
				}
				seen[j.Ref] = true
			}
			cursor = page.Next
		}
		if len(seen) != 7 || cursor != "" {
			t.Errorf("%d jobs, then %q", len(seen), cursor)
		}
		var page apiclient.JobList
		s.ask(adminToken, "GET", "/v1/jobs?owner="+teacherID, "", &page)
		if len(page.Jobs) != 0 {
			t.Errorf("jobs of somebody without: %+v", page)
		}
	})
}
