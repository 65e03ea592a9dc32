package daemon_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/daemon"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// supervisor notes what it is told.
type supervisor struct {
	mu   sync.Mutex
	told []string
	fed  time.Time // the watchdog, last
}

func (s *supervisor) notify(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == "WATCHDOG=1" {
		s.fed = time.Now()
		return
	}
	s.told = append(s.told, strings.ReplaceAll(state, "\n", " "))
}

func (s *supervisor) fedLast() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fed
}

func (s *supervisor) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.told, "\n")
}

// last is the status it shows.
func (s *supervisor) last() string {
	all := s.all()
	return all[strings.LastIndexByte(all, '\n')+1:]
}

// wedge is a transport on which some calls never come back, not even when their
// context ends: what a bug would do to the loop that makes them.
type wedge struct {
	next   http.RoundTripper
	hangs  func(*http.Request) bool
	polite bool // gives up when the context ends, as a network does
	mend   chan struct{}
}

func (w *wedge) RoundTrip(req *http.Request) (*http.Response, error) {
	if !w.hangs(req) {
		return w.next.RoundTrip(req)
	}
	if w.polite {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	<-w.mend
	return nil, context.Canceled
}

// slow is a network that takes its time.
type slow struct {
	next http.RoundTripper
	by   time.Duration
}

func (s slow) RoundTrip(req *http.Request) (*http.Response, error) {
	time.Sleep(s.by) // of the bubble
	return s.next.RoundTrip(req)
}

const watchdog = time.Minute

func (o *office) supervised(v *supervisor, transport http.RoundTripper) *shift {
	o.tune = func(d *daemon.Options) {
		d.Notify, d.Watchdog = v.notify, watchdog
		if transport != nil {
			d.Transport = transport
		}
	}
	return o.start(zap.NewNop())
}

// What systemd is told over a day: ready, how it goes, reloads good and bad, the end.
func TestSupervisor(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		v := &supervisor{}
		s := o.supervised(v, nil)
		s.register()
		o.print(graphtest.JobSpec{Printer: pullID})
		s.await("a job held", time.Minute, func() bool { return len(s.all()) == 1 })
		pass(time.Minute)
		if got := v.all(); !strings.HasPrefix(got, "READY=1 STATUS=") {
			t.Errorf("told first:\n%s", got)
		}
		if got := v.last(); !strings.HasPrefix(got, "STATUS=1 job held, subscription until 20") || !strings.Contains(got, ", policy ") {
			t.Errorf("status %q", got)
		}
		for _, c := range []struct{ file, want string }{
			{"rules: [{name: broken", "its file has changed and is refused"},
			{officePolicy, "1 job held"},
		} {
			o.write("policy.yaml", c.file)
			s.reload <- struct{}{}
			pass(time.Second)
			told := strings.Split(v.all(), "\n")
			if n := len(told); told[n-2] != "RELOADING=1 STATUS=reading the policy" ||
				!strings.HasPrefix(told[n-1], "READY=1 STATUS=1 job held") ||
				!strings.Contains(told[n-1], c.want) {
				t.Errorf("told of a reload: %q", told[n-2:])
			}
		}
		if late := time.Since(v.fedLast()); late > watchdog/2 {
			t.Errorf("the watchdog was fed %s ago", late)
		}
		s.end()
		if got := v.last(); !strings.HasPrefix(got, "STOPPING=1 ") {
			t.Errorf("told last: %q", got)
		}
	})
}

// A sign-in that is refused is told before anybody hears "ready": `systemctl start`
// fails.
func TestNotReadyWhenRefused(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		o := newOffice(t, graphtest.Calm())
		o.write("client-secret", "another-secret")
		v := &supervisor{}
		s := o.supervised(v, slow{o.sim.Transport(), 5 * time.Second})
		if err := <-s.done; err == nil {
			t.Error("no error")
		}
		s.stop()
		if strings.Contains(v.all(), "READY") {
			t.Errorf("told: %s", v.all())
		}
	})
}

// However long Graph hangs, the watchdog is fed: a restart would not help.
func TestGraphHangs(t *testing.T) {
	racetest.Skip(t, "minutes of what TestSupervisor does")
	bustest.Virtual(t, func(t *testing.T) {
		k := graphtest.Calm()
		k.TokenLife = 20 * time.Minute // longer than any loop may be stuck
		o := newOffice(t, k)
		var down atomic.Bool
		w := &wedge{next: o.sim.Transport(), polite: true, hangs: func(*http.Request) bool { return down.Load() }}
		v := &supervisor{}
		s := o.supervised(v, w)
		defer s.end()
		s.register()
		down.Store(true)
		for range 20 {
			o.print(graphtest.JobSpec{Printer: directID})
		}
		for range 25 { // until the token is over
			pass(time.Minute)
			if late := time.Since(v.fedLast()); late > watchdog/2 {
				t.Fatalf("the watchdog was fed %s ago", late)
			}
			if strings.Contains(v.last(), "not ready") {
				break
			}
		}
		if got := v.last(); !strings.Contains(got, "not ready") {
			t.Errorf("status %q", got)
		}
		if code, body := o.get("/healthz"); code != 200 {
			t.Errorf("healthz = %d %s", code, body)
		}
	})
}

// One loop at a time stops for good, and the watchdog starves within its limit, which
// the status and the liveness probe say as well.
func TestStuckLoop(t *testing.T) {
	racetest.Skip(t, "one loop after the other, each for minutes of what TestSupervisor does")
	tasks := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/tasks") }
	for _, c := range []struct {
		loop   string
		hangs  func(*http.Request) bool
		within time.Duration
	}{
		{"worker", func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/jobs/") }, 11 * time.Minute},
		{"sweep", tasks, 12 * time.Minute},
		{"registrar", func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/subscriptions") }, 14 * time.Minute},
	} {
		t.Run(c.loop, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				o := newOffice(t, graphtest.Calm())
				var broken atomic.Bool
				w := &wedge{next: o.sim.Transport(), hangs: func(r *http.Request) bool {
					return broken.Load() &&
						c.hangs(r)
				}, mend: make(chan struct{})}
				v := &supervisor{}
				s := o.supervised(v, w)
				s.register()
				pass(time.Minute)
				broken.Store(true)
				o.print(graphtest.JobSpec{Printer: directID})
				began := time.Now()
				for time.Since(v.fedLast()) < watchdog && time.Since(began) < time.Hour {
					pass(10 * time.Second)
				}
				if took := v.fedLast().Sub(began); took < 5*time.Minute || took > c.within {
					t.Errorf("the watchdog was fed for %s", took)
				}
				if got := v.last(); !strings.HasPrefix(got, "STATUS=stuck: "+c.loop+" for ") {
					t.Errorf("status %q", got)
				}
				if code, body := o.get("/healthz"); code != 503 || !strings.Contains(body, c.loop) {
					t.Errorf("healthz = %d %s", code, body)
				}
				broken.Store(false)
				close(w.mend)
				s.end()
			})
		})
	}
}
