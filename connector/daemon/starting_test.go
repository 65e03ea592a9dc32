package daemon_test

import (
	"bytes"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/daemon"
	"pullprint/trigger/graph/graphtest"
)

// slowRecords is the way to a server on which nobody hears the requests for job records, until
// they may be read.
type slowRecords struct {
	*bustest.Link
	readable atomic.Bool
}

func (s *slowRecords) InProcessConn() (net.Conn, error) {
	c, err := s.Link.InProcessConn()
	return slowRecordsConn{c, s}, err
}

type slowRecordsConn struct {
	net.Conn
	of *slowRecords
}

func (c slowRecordsConn) Write(p []byte) (int, error) {
	const next, elsewhere = "$JS.API.CONSUMER.MSG.NEXT.KV_pullprint_jobs.", "$JS.API.CONSUMER.MSG.NONE.KV_pullprint_jobs."
	if !c.of.readable.Load() {
		p = bytes.ReplaceAll(p, []byte(next), []byte(elsewhere)) // as long, so that the protocol is kept
	}
	return c.Conn.Write(p)
}

// startingAgain is a daemon that holds three jobs, ended and started again; the second reads no job
// records until they are readable.
func startingAgain(t *testing.T) (*shift, *slowRecords) {
	t.Helper()
	server := bustest.StartServer(t)
	records := &slowRecords{Link: server.Link()}
	records.readable.Store(true)
	o := newOffice(t, graphtest.Calm())
	o.install(`url: "nats://shared"`)
	o.tune = func(d *daemon.Options) { d.NATS = records }
	s := o.opened(zap.NewNop())
	s.hold(3)
	s.end()
	records.readable.Store(false)
	s = o.start(zap.NewNop())
	s.await("the second is ready", 20*time.Second, func() bool {
		code, _ := s.get("/readyz")
		return code == http.StatusOK
	})
	return s, records
}

// While job records are read after a start, a tap releases all that its owner has; lists wait, and say
// to try again rather than to show a part; what is counted of the jobs is not told; what comes is
// stored, and nothing is decided or swept. Then all is known.
func TestTapWhileRecordsAreRead(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, records := startingAgain(t)
		defer s.end()
		var problem apiclient.Problem
		asked := time.Now()
		if code := s.ask(adminToken, "GET", "/v1/jobs", "", &problem); code != http.StatusServiceUnavailable ||
			problem.Type != "urn:pullprint:problem:starting" {
			t.Errorf("list: %d %+v", code, problem)
		}
		if waited := time.Since(asked); waited < 20*time.Second || waited > 21*time.Second {
			t.Errorf("the list was waited for for %s", waited)
		}
		if _, page := s.get("/metrics"); strings.Contains(page, "\npullprint_held_jobs{") ||
			!strings.Contains(page, "\npullprint_sweeps_total{result=\"ok\"} 0\n") {
			t.Error("a part of the jobs is counted, or swept")
		}
		if out, code := s.tap(number); code != http.StatusOK || len(out.Released) != 3 {
			t.Errorf("tap: %d %+v", code, out)
		}
		came := s.print(graphtest.JobSpec{Printer: pullID})
		pass(10 * time.Second)
		if n := len(s.all()); n != 3 {
			t.Errorf("%d decisions, want those of the tap", n)
		}
		list := make(chan apiclient.JobList)
		go func() {
			var l apiclient.JobList
			s.ask(adminToken, "GET", "/v1/jobs", "", &l)
			list <- l
		}()
		pass(time.Second)
		records.readable.Store(true)
		if l := <-list; len(l.Jobs) < 3 {
			t.Errorf("the list has %d of the jobs", len(l.Jobs))
		}
		s.await("the job that came is held", 10*time.Second, func() bool {
			_, page := s.get("/metrics")
			return len(s.all()) == 4 && strings.Contains(page, "\npullprint_held_jobs{queue=\"Follow-Me\"} 1\n")
		})
		if j, _ := s.sim.Job(came); j.State != "paused" {
			t.Errorf("the job that came is %s", j.State)
		}
	})
}

// Job records that can't be read for too long end readiness.
func TestRecordsReadForTooLong(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s, records := startingAgain(t)
		defer s.end()
		s.await("not ready", 2*time.Minute, func() bool {
			code, text := s.get("/readyz?verbose")
			return code == http.StatusServiceUnavailable && strings.Contains(text, "job records are being read for more than 1m0s")
		})
		records.readable.Store(true)
		s.await("ready", 10*time.Second, func() bool {
			code, _ := s.get("/readyz")
			return code == http.StatusOK
		})
	})
}
