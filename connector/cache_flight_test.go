package connector_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/release"
	"pullprint/connector/tap"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
)

// slow is a directory, and badges, that answer when they are let.
type slow struct {
	connector.Graph
	asked chan struct{}
	let   chan struct{}
	calls atomic.Int64
	fail  func(ctx context.Context) error
}

func newSlow() *slow { return &slow{asked: make(chan struct{}, 16), let: make(chan struct{})} }

// wait is one call.
func (s *slow) wait(ctx context.Context) error {
	s.calls.Add(1)
	s.asked <- struct{}{}
	select {
	case <-s.let:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.fail != nil {
		return s.fail(ctx)
	}
	return nil
}

func (s *slow) UserByEmployeeID(ctx context.Context, _ string) (graph.User, bool, error) {
	err := s.wait(ctx)
	return graph.User{ID: studentID}, err == nil, err
}

func (s *slow) Groups(ctx context.Context, _ string) ([]graph.Group, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return []graph.Group{{DisplayName: "students"}}, nil
}

func (s *slow) EmployeeID(context.Context, string) (string, error) { return "", nil }

// slowOwners looks all badges up in s.
func slowOwners(t *testing.T, s *slow) *tap.BadgeOwners {
	t.Helper()
	return tap.NewBadgeOwners(badgeBook(t, bustest.Open(t), badgeKey(1)), s, zap.NewNop())
}

// together asks as one who hangs up once the question is asked, and as two others
// who join; it returns what the others were told, after the answer was let.
func together(t *testing.T, s *slow, ask func(ctx context.Context) error) [2]error {
	t.Helper()
	first, hangUp := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- ask(first) }()
	<-s.asked
	told := make(chan error, 2)
	for range 2 {
		go func() { told <- ask(t.Context()) }()
	}
	time.Sleep(time.Second)
	hangUp()
	time.Sleep(time.Second)
	select {
	case err := <-gone:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("who hung up was told %v", err)
		}
	default:
		t.Error("who hung up waits on")
	}
	close(s.let)
	return [2]error{<-told, <-told}
}

// Of those who ask at the same time, nobody is failed by another who hangs up, and
// one call is made for all.
func TestSharedCalls(t *testing.T) {
	for name, c := range map[string]func(t *testing.T, s *slow) func(ctx context.Context) error{
		"directory": func(t *testing.T, s *slow) func(context.Context) error {
			owners := slowOwners(t, s)
			return func(ctx context.Context) error {
				owner, err := owners.Owner(ctx, "E77", time.Now())
				if err == nil && owner != studentID {
					return errors.New("another owner: " + owner)
				}
				return err
			}
		},
		"groups": func(t *testing.T, s *slow) func(context.Context) error {
			w := newWorld(t, bustest.Open(t), graphtest.Calm())
			l := w.live("", withPolicy(t, studentBudget), func(d *connector.Deps) { s.Graph, d.Graph = d.Graph, s })
			return func(ctx context.Context) error {
				at, err := l.evaluator.AccountStatus(ctx, quota.Account{Kind: quota.User, Name: studentID})
				if err == nil && len(at.Balances) == 0 && ctx.Err() == nil {
					return errors.New("the groups are not known")
				}
				return errors.Join(err, ctx.Err())
			}
		},
		"tap": func(t *testing.T, s *slow) func(context.Context) error {
			w := newWorld(t, bustest.Open(t), graphtest.Calm())
			taps := tap.New(w.live("").release, slowOwners(t, s), nil, zap.NewNop())
			return func(ctx context.Context) error {
				_, err := taps.Tap(ctx, tap.Shown{Device: "hq-2-west", Number: "1"})
				return err
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				s := newSlow()
				for i, err := range together(t, s, c(t, s)) {
					if err != nil {
						t.Errorf("caller %d: %v", i+2, err)
					}
				}
				if n := s.calls.Load(); n != 1 {
					t.Errorf("%d calls for three at once", n)
				}
			})
		})
	}
}

const studentBudget = `
allowances: [{name: students, when: '"students" in user.groups', pages: 30, every: week}]
unmatched: free
`

// One who has more time than whoever began the call asks again when that failed.
func TestSharedCallOfLittleTime(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := newSlow()
		owners := slowOwners(t, s)
		ask := func(within time.Duration) chan error {
			told := make(chan error, 1)
			ctx, cancel := context.WithTimeout(t.Context(), within)
			go func() {
				defer cancel()
				_, err := owners.Owner(ctx, "E77", time.Now())
				told <- err
			}()
			return told
		}
		hurried := ask(time.Second)
		<-s.asked
		patient := ask(4 * time.Second)
		if err := <-hurried; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who had a second: %v", err)
		}
		<-s.asked
		close(s.let)
		if err := <-patient; err != nil {
			t.Errorf("who had more time: %v", err)
		}
	})
}

// A panic in a shared call is an error for all, and ends nothing.
func TestSharedPanic(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		s := newSlow()
		s.fail = func(context.Context) error { panic("from outside") }
		owners := slowOwners(t, s)
		for _, err := range together(t, s, func(ctx context.Context) error { _, err := owners.Owner(ctx, "E77", time.Now()); return err }) {
			if err == nil {
				t.Error("no error")
			}
		}
	})
}

// Two who show the same badge at once are one release and one repetition.
func TestDoubleTapCounted(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		w := newWorld(t, bustest.Open(t), graphtest.Calm())
		w.hold()
		reg := prometheus.NewRegistry()
		l := w.live("", func(d *connector.Deps) { d.Registerer = reg })
		s := newSlow()
		taps := tap.New(l.release, slowOwners(t, s), reg, zap.NewNop())
		told := make(chan release.Outcome, 2)
		tap := func() {
			out, err := taps.Tap(t.Context(), tap.Shown{Device: "hq-2-west", Number: "1"})
			if err != nil {
				t.Error(err)
			}
			told <- out
		}
		go tap()
		<-s.asked
		go tap()
		time.Sleep(time.Second)
		close(s.let)
		if a, b := <-told, <-told; len(a.Released) != 1 || len(b.Released) != 1 {
			t.Errorf("%+v and %+v", a, b)
		}
		all, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		counted := map[string]float64{}
		for _, family := range all {
			for _, m := range family.GetMetric() {
				if family.GetName() == "pullprint_taps_total" && m.GetCounter().GetValue() > 0 {
					counted[m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
		if len(counted) != 2 || counted["released"] != 1 || counted["repeated"] != 1 {
			t.Errorf("counted %v", counted)
		}
	})
}
