package daemon_test

import (
	"flag"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/release"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph/graphtest"
)

// long plays what waits long, or needs a browser.
var long = flag.Bool("long", false, "play what waits long, or needs Chromium")

// deliveries is the way of Graph's notifications to the webhook, and what came of
// each.
type deliveries struct {
	http.RoundTripper
	mu  sync.Mutex
	all []delivery
}

type delivery struct {
	status int // 0: no answer
	took   time.Duration
}

// RoundTrip implements http.RoundTripper.
func (d *deliveries) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	res, err := d.RoundTripper.RoundTrip(req)
	one := delivery{took: time.Since(began)}
	if err == nil {
		one.status = res.StatusCode
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, one)
	return res, err
}

// since are those after the first n.
func (d *deliveries) since(n int) []delivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]delivery(nil), d.all[n:]...)
}

// refusedTap shows the badge, and says with which reason nothing was released.
func refusedTap(s *shift) string {
	s.t.Helper()
	var out struct {
		release.Outcome
		Type string
	}
	switch code := s.ask(readerToken, "POST", "/v1/taps", `{"badge":"`+number+`"}`, &out); {
	case code == http.StatusServiceUnavailable:
		return out.Type
	case code != http.StatusOK || len(out.Kept) == 0 || len(out.Released) > 0:
		return fmt.Sprintf("%d %+v", code, out)
	}
	return out.Kept[0].Reason.Code
}

// Without a majority of the NATS servers nothing is accepted and nothing printed,
// and everybody is told so in time; with it again all goes on by itself.
func TestNoQuorum(t *testing.T) {
	if !*long {
		t.Skip("it waits for half a minute: -long plays it")
	}
	nats := bustest.StartCluster(t)
	o := newOffice(t, graphtest.Calm())
	o = o.replica(metricsAddr, fmt.Sprintf("url: %q, replicas: 3", nats.URL()))
	s := o.start(zap.NewNop())
	defer s.end()
	s.register()
	s.enrol(studentID, number)
	ids := s.hold(2)
	s.await("readiness", 30*time.Second, func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK })

	nats.Stop(1)
	nats.Stop(2)
	before := len(o.hook.since(0))
	ids = append(ids, s.print(graphtest.JobSpec{Printer: pullID}))
	s.await("the webhook refuses", 30*time.Second, func() bool { return len(o.hook.since(before)) > 0 })
	for _, d := range o.hook.since(before) {
		if d.status != http.StatusServiceUnavailable || d.took > 2300*time.Millisecond {
			t.Errorf("the webhook answers %d after %s, want 503 within 2 s", d.status, d.took)
		}
	}
	s.await("it is not ready", 30*time.Second, func() bool { code, _ := s.get("/readyz"); return code == http.StatusServiceUnavailable })
	if _, page := s.get("/readyz"); !strings.Contains(page, "[-] store: a durable write failed") {
		t.Errorf("readiness says\n%s", page)
	}
	told := refusedTap(s)
	t.Logf("a tap is told %s", told)
	if told != "urn:pullprint:problem:store-unavailable" && told != reasons.StoreUnavailable && told != reasons.ReleasePending {
		t.Errorf("a tap is told %q", told)
	}

	nats.Start(1)
	s.await("it is ready again", time.Minute, func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK })
	nats.Start(2)
	s.await("the job that came meanwhile is held", 2*time.Minute, // by the sweep at the latest
		func() bool { return len(s.all()) == len(ids) })
	var released int
	s.await("every job is released", time.Minute, func() bool {
		out, status := s.tap(number)
		if status == http.StatusOK {
			released += len(out.Released)
		}
		return released == len(ids)
	})
	for _, id := range ids {
		if job, _ := o.sim.Job(id); job.Effects.RedirectApplied != 1 || job.Effects.Applied() != 1 {
			t.Errorf("job %v: %+v", id, job.Effects)
		}
	}
}
