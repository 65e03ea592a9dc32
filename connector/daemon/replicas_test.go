package daemon_test

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/trigger/graph/graphtest"
)

// Two replicas on one external server: one definition and one subscription, any
// of them decides, each job once; when the one that keeps the subscription
// stops, the other goes on.
func TestReplicas(t *testing.T) {
	o := newOffice(t, graphtest.Calm())
	nats := `url: "` + bustest.External(t) + `"`
	first := o.replica("127.0.0.1:9465", nats).start(zap.NewNop())
	first.register()
	second := o.replica("127.0.0.1:9466", nats).start(zap.NewNop())
	defer second.end()
	second.await("the second replica is ready", 20*time.Second, func() bool {
		code, _ := second.get("/readyz")
		return code == 200
	})
	var ids []graphtest.JobID
	printSome := func(n int) {
		for i := range n {
			ids = append(ids, o.print([]graphtest.JobSpec{{Printer: pullID}, {Printer: directID}, {Printer: directID, Copies: 99}}[i%3]))
		}
	}
	printSome(60)
	second.await("60 jobs decided", 20*time.Second, func() bool { return len(first.all())+len(second.all()) == 60 })
	if len(first.all()) == 0 || len(second.all()) == 0 {
		t.Errorf("one replica decided alone: %d and %d", len(first.all()), len(second.all()))
	}
	o.sim.DropSubscriptions()
	first.end()
	second.await("the subscription is made again by the other", 30*time.Second, func() bool { return len(o.sim.Subscriptions()) == 1 })
	printSome(30)
	second.await("30 more jobs decided", 30*time.Second, func() bool { return len(first.all())+len(second.all()) == 90 })
	if n := len(o.sim.Definitions()); n != 1 {
		t.Errorf("%d definitions", n)
	}
	for _, id := range ids {
		job, _ := o.sim.Job(id)
		want := 1
		if id.Printer == pullID {
			want = 0
		}
		if n := job.Effects.Applied(); n != want || job.Effects.AbortRefused+job.Effects.FinishRefused != 0 {
			t.Errorf("job %v: %+v", id, job.Effects)
		}
	}
}

var holdAges = regexp.MustCompile(`(?m)^pullprint_hold_age_seconds_count (\d+)$`)

// A badge that is shown at both replicas at once, at two devices: each job comes
// out once, and either replica tells its whole life.
func TestReplicasRelease(t *testing.T) {
	o := newOffice(t, graphtest.Calm())
	nats := `url: "` + bustest.External(t) + `"`
	first := o.replica("127.0.0.1:9465", nats).start(zap.NewNop())
	defer first.end()
	first.register()
	second := o.replica("127.0.0.1:9466", nats).start(zap.NewNop())
	defer second.end()
	for _, s := range []*shift{first, second} {
		s.await("the replica is ready", 20*time.Second, func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK })
	}
	first.enrol(studentID, number)
	var ids []graphtest.JobID
	for range 12 {
		ids = append(ids, o.print(graphtest.JobSpec{Printer: pullID}))
	}
	second.await("12 jobs held", 20*time.Second, func() bool { return len(first.all())+len(second.all()) == 12 })
	var taps errgroup.Group
	told := make([]int, 4)
	for i, s := range []*shift{first, second, first, second} {
		taps.Go(func() error {
			var out release.Outcome
			body := fmt.Sprintf(`{"device":%q,"badge":%q}`, []string{"hq-2-west", "hq-2-east"}[i/2], number)
			if code := s.ask(adminToken, "POST", "/v1/taps", body, &out); code != http.StatusOK || len(out.Kept)+len(out.Aborted) > 0 {
				return fmt.Errorf("tap %d: %d %+v", i, code, out)
			}
			told[i] = len(out.Released)
			return nil
		})
	}
	if err := taps.Wait(); err != nil {
		t.Error(err)
	}
	for _, id := range ids {
		job, _ := o.sim.Job(id)
		if e := job.Effects; e.RedirectApplied != 1 || e.RedirectRefused != 0 {
			t.Errorf("job %v: %+v", id, e)
		}
	}
	if slices.Max(told) == 0 {
		t.Errorf("nobody was told of a release: %v", told)
	}
	ages := 0
	for _, s := range []*shift{first, second} {
		_, text := s.get("/metrics")
		n, err := strconv.Atoi(holdAges.FindStringSubmatch(text)[1])
		if err != nil {
			t.Fatal(err)
		}
		ages += n
	}
	if ages != len(ids) {
		t.Errorf("%d ends of a hold were measured, of %d jobs", ages, len(ids))
	}
	var mine, other apiclient.JobDetail
	path := "/v1/jobs/" + ids[0].Printer + "/" + ids[0].Job
	for s, d := range map[*shift]*apiclient.JobDetail{first: &mine, second: &other} {
		s.await("the record is known", 10*time.Second, func() bool {
			return s.ask(adminToken, "GET", path, "", d) == http.StatusOK && d.Job.State == job.Released
		})
	}
	if !reflect.DeepEqual(mine, other) || len(mine.Trace) < 6 {
		t.Errorf("the replicas tell different stories:\n%+v\n%+v", mine, other)
	}
}

// Five unknown badges lock a reader, at whichever replica they were shown, and a
// station that was set up at one is one at the other.
func TestReplicasShareReaders(t *testing.T) {
	o := newOffice(t, graphtest.Calm())
	nats := `url: "` + bustest.External(t) + `"`
	first := o.replica("127.0.0.1:9465", nats).start(zap.NewNop())
	defer first.end()
	second := o.replica("127.0.0.1:9466", nats).start(zap.NewNop())
	defer second.end()
	for _, s := range []*shift{first, second} {
		s.await("the replica is ready", 20*time.Second, func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK })
	}
	cookie := first.signIn(t, "/station/hq-2-west", readerToken)
	if code := second.page(t, "/station/hq-2-west", cookie); code != http.StatusOK {
		t.Errorf("the station at the other replica: %d", code)
	}
	if code := second.page(t, "/station/hq-2-east", cookie); code != http.StatusUnauthorized {
		t.Errorf("another station with its cookie: %d", code)
	}
	for i := range 5 {
		s := []*shift{first, second}[i%2]
		if _, status := s.tap(fmt.Sprint("unknown-", i)); status != http.StatusOK {
			t.Fatalf("unknown badge %d: %d", i, status)
		}
	}
	for i, s := range []*shift{first, second} {
		if _, status := s.tap(number); status != http.StatusTooManyRequests {
			t.Errorf("replica %d after five unknown badges: %d", i, status)
		}
	}
}

// signIn sets a station up and returns its cookie.
func (o *office) signIn(t *testing.T, path, token string) *http.Cookie {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+o.admin()+path+"/login",
		strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := o.net.transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSeeOther || len(res.Cookies()) != 1 {
		t.Fatalf("sign in: %d", res.StatusCode)
	}
	return res.Cookies()[0]
}

// page is the status of a page with a cookie.
func (o *office) page(t *testing.T, path string, c *http.Cookie) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+o.admin()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(c)
	res, err := o.net.transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}
