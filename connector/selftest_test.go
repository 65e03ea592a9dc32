package connector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/selftest"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// selfTesting is a process that tests itself now and then, and its administrator.
type selfTesting struct {
	*life
	w    *world
	reg  *prometheus.Registry
	stop func()
}

// selfTest starts it. The worker hears of jobs only while hears is true.
func selfTest(
	t *testing.T, w *world, queue string, person func(context.Context) (selftest.Printing, error), hears *atomic.Bool,
) *selfTesting {
	t.Helper()
	s := &selfTesting{w: w, reg: prometheus.NewRegistry()}
	users := w.sim.Users()
	i := slices.IndexFunc(users, func(u graphtest.User) bool { return u.Administrator })
	conf := selftest.Config{Queue: queue, User: users[i].ID, Every: 90 * time.Minute}
	var tester *selftest.Tester
	s.life = w.live("", func(d *connector.Deps) {
		tester = selftest.New(selftest.Options{
			Config: conf, Queues: queues, State: w.bus.State(), Person: person, Index: d.Index,
			Metrics: selftest.NewMetrics(s.reg), Logger: zap.NewNop(),
		})
		d.SelfTests, d.Registerer = tester, s.reg
	})
	ctx, cancel := context.WithCancel(t.Context())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		for !hears.Load() {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second): // virtual
			}
		}
		return w.bus.Consume(ctx, 4, s.worker.Handle)
	})
	g.Go(func() error { return tester.Run(ctx) })
	s.stop = func() { cancel(); _ = g.Wait(); s.end() }
	return s
}

// results compares how many self-tests went how.
func (s *selfTesting) results(t *testing.T, what string, passed, failed int) {
	t.Helper()
	want := fmt.Sprintf(`
# HELP pullprint_selftests_total Self-tests by result.
# TYPE pullprint_selftests_total counter
pullprint_selftests_total{result="failed"} %d
pullprint_selftests_total{result="passed"} %d
`, failed, passed)
	if err := testutil.GatherAndCompare(s.reg, strings.NewReader(want), "pullprint_selftests_total"); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// A self-test goes all the way now and then, in a pull queue and in a direct one, is
// aborted with its reason, and nothing is printed; what else its user prints is not
// taken for one.
func TestSelfTest(t *testing.T) {
	for i, q := range queues {
		t.Run(q.Name, func(t *testing.T) {
			if i > 0 {
				racetest.Skip(t, "the same on another queue")
			}
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				person := administrator(t, w)
				var hears atomic.Bool
				hears.Store(true)
				s := selfTest(t, w, q.Name, func(context.Context) (selftest.Printing, error) { return person, nil }, &hears)
				defer s.stop()
				s.results(t, "not yet", 0, 0)
				time.Sleep(2 * time.Minute) // virtual
				s.results(t, "the first", 1, 0)
				own, err := w.sim.Submit(graphtest.JobSpec{Printer: q.PrinterID, User: "admin@contoso.com"})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(90 * time.Minute) // virtual
				s.results(t, "the next time", 2, 0)
				for _, job := range w.sim.Jobs(q.PrinterID) {
					if aborted := strings.Contains(job.Reason, "selftest.passed"); aborted == (job.ID == own) ||
						(aborted && job.State != "aborted") {
						t.Errorf("job %v of %v: %s, %q", job.ID, own, job.State, job.Reason)
					}
				}
				for _, sheet := range w.sim.Paper() {
					if sheet.Job != own {
						t.Errorf("printed %+v", sheet)
					}
				}
			})
		})
	}
}

// A self-test that does not come through fails with the reason, is taken back, and
// comes again within the hour.
func TestSelfTestFails(t *testing.T) {
	racetest.Skip(t, "TestSelfTest has the same goroutines")
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		person := administrator(t, w)
		var hears, signedIn atomic.Bool
		s := selfTest(t, w, "Follow-Me", func(context.Context) (selftest.Printing, error) {
			if !signedIn.Load() {
				return nil, auth.ErrNotStored
			}
			return person, nil
		}, &hears)
		defer s.stop()
		time.Sleep(2 * time.Minute) // virtual
		s.results(t, "nobody signed in", 0, 0)
		signedIn.Store(true)
		time.Sleep(selfTestLimit) // virtual
		s.results(t, "nobody hears", 0, 1)
		if !strings.Contains(s.stored(t), "look at `pullprint doctor`") {
			t.Errorf("stored %s", s.stored(t))
		}
		if jobs := w.sim.Jobs(pullID); len(jobs) != 1 || jobs[0].State != "canceled" {
			t.Errorf("not taken back: %+v", jobs)
		}
		hears.Store(true)
		time.Sleep(time.Hour + selfTestLimit) // virtual
		s.results(t, "heard", 1, 1)
		w.sim.Change(func(k *graphtest.Knobs) {
			k.Intercept = func(op string, _ graphtest.Request) graphtest.Fault {
				if op == graphtest.OpJobStart {
					return graphtest.Fault{Refuse: http.StatusForbidden}
				}
				return graphtest.Fault{}
			}
		})
		time.Sleep(90 * time.Minute) // virtual
		s.results(t, "not started", 1, 2)
	})
}

const selfTestLimit = 12 * time.Minute

func (s *selfTesting) stored(t *testing.T) string {
	t.Helper()
	raw, _, err := s.w.bus.State().Get(t.Context(), "selftest.last")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// The process dies after the job is stored, or after it is started: the next one
// aborts it all the same, nothing is printed, and it is tested again within the hour.
func TestSelfTestDies(t *testing.T) {
	racetest.Skip(t, "TestSelfTest has the same goroutines")
	for _, spot := range []string{graphtest.OpUploadCreate, graphtest.OpJobStart} {
		t.Run(spot, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				w := newWorld(t, bustest.Open(t), graphtest.Calm())
				person := administrator(t, w)
				var hears atomic.Bool
				dies := make(chan struct{})
				first := selfTest(t, w, "Follow-Me", func(context.Context) (selftest.Printing,
					error,
				) {
					return dying{person, spot, dies}, nil
				},
					&hears)
				<-dies
				first.stop()
				if last := first.stored(t); strings.Contains(last, "ended") {
					t.Errorf("it ended: %s", last)
				}
				hears.Store(true)
				second := selfTest(t, w, "Follow-Me", func(context.Context) (selftest.Printing, error) { return person, nil }, &hears)
				defer second.stop()
				time.Sleep(30 * time.Minute) // virtual
				jobs := w.sim.Jobs(pullID)
				started := spot == graphtest.OpJobStart
				if len(jobs) != 1 || strings.Contains(jobs[0].Reason, "selftest.passed") != started || len(w.sim.Paper()) != 0 {
					t.Errorf("%+v", jobs)
				}
				time.Sleep(time.Hour) // virtual
				second.results(t, "again", 1, 0)
			})
		})
	}
}

// dying does what it is asked for and dies after spot.
type dying struct {
	selftest.Printing
	spot string
	dies chan struct{}
}

func (d dying) reach(ctx context.Context, spot string) error {
	if spot != d.spot {
		return nil
	}
	close(d.dies)
	<-ctx.Done()
	return ctx.Err()
}

func (d dying) Upload(ctx context.Context, ref graph.Ref, page graph.Document, name string, body []byte) error {
	return errors.Join(d.Printing.Upload(ctx, ref, page, name, body), d.reach(ctx, graphtest.OpUploadCreate))
}

func (d dying) StartJob(ctx context.Context, ref graph.Ref) error {
	return errors.Join(d.Printing.StartJob(ctx, ref), d.reach(ctx, graphtest.OpJobStart))
}

func (d dying) CancelJob(context.Context, graph.Ref) error { return errKilled }

// Somebody else's sign-in tests nothing.
func TestSelfTestAnother(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		person := administrator(t, w)
		other := selftest.Config{Queue: "Follow-Me", User: studentID, Every: time.Hour}
		var tester *selftest.Tester
		l := w.live("", func(d *connector.Deps) {
			tester = selftest.New(selftest.Options{
				Config: other, Queues: queues, State: w.bus.State(), Index: d.Index, Metrics: selftest.NewMetrics(nil),
				Person: func(context.Context) (selftest.Printing, error) { return person, nil }, Logger: zap.NewNop(),
			})
			d.SelfTests = tester
		})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if err := tester.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		raw, _, err := w.bus.State().Get(t.Context(), "selftest.last")
		var last struct {
			Job     graph.Ref
			Failure string
		}
		if err != nil || json.Unmarshal(raw, &last) != nil || !strings.Contains(last.Failure, "is not selftest.user") {
			t.Errorf("%v %s", err, raw)
		}
		if jobs := w.sim.Jobs(pullID); len(jobs) != 1 || jobs[0].State != "canceled" {
			t.Errorf("%+v", jobs)
		}
		l.end()
	})
}

// stuck is Graph that refuses to start a job, and does not answer when it is to be
// canceled.
type stuck struct {
	selftest.Printing
	asked chan struct{}
}

func (stuck) StartJob(context.Context, graph.Ref) error { return errKilled }

func (s stuck) CancelJob(ctx context.Context, _ graph.Ref) error {
	close(s.asked)
	<-ctx.Done()
	return ctx.Err()
}

// A self-test that takes its job back does not keep the daemon from stopping.
func TestSelfTestStops(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		p := stuck{administrator(t, w), make(chan struct{})}
		s := selfTest(t, w, "Follow-Me", func(context.Context) (selftest.Printing, error) { return p, nil }, new(atomic.Bool))
		<-p.asked
		began := time.Now()
		s.stop()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it stops after %s", took)
		}
	})
}
