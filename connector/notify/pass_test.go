package notify_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/notify"
	"pullprint/trigger/racetest"
)

// way is a channel whose answers depend on how long ago the test began.
type way struct {
	name   string
	answer func(since time.Duration) error

	mu    sync.Mutex
	began time.Time
	tried []time.Duration
	sent  []time.Duration
}

func newWay(name string, answer func(time.Duration) error) *way {
	return &way{name: name, answer: answer, began: time.Now()}
}

func (w *way) Name() string { return w.name }

func (w *way) Send(context.Context, notify.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	since := time.Since(w.began)
	w.tried = append(w.tried, since)
	if err := w.answer(since); err != nil {
		return err
	}
	w.sent = append(w.sent, since)
	return nil
}

// by runs a Notifier with channels for some time.
func by(t *testing.T, b *bus.Bus, reg prometheus.Registerer, d time.Duration, ways ...*way) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	o := notify.Options{
		Records: b, State: b.State(), Stream: b, Dead: b, Texts: builtIn(t), Registerer: reg, Logger: zap.NewNop(),
	}
	for _, w := range ways {
		o.Channels = append(o.Channels, w)
	}
	_ = notify.New(o).Run(ctx)
}

// A person who has no address for a channel, whom it refuses, puts off for an hour or does not reach for
// an hour as it works for nobody, is told by the next. What no channel takes is a dead letter that says
// why of each, but for who has no address at all.
func TestNextChannel(t *testing.T) { // it takes some seconds: one case is a day of tries
	racetest.Skip(t, "many hours of what TestGathered does")
	always := func(err error) func(time.Duration) error { return func(time.Duration) error { return err } }
	refused, later, down := &notify.Refused{Why: "answered 550"}, errors.New("answered 450"), &notify.Down{Why: "no answer"}
	none, taken := notify.ErrNoAddress, error(nil)
	panics := func(time.Duration) error { panic("mail") }
	const never, hour = -1, time.Hour
	tests := []struct {
		name        string
		mail, teams func(time.Duration) error
		least, most int           // how often mail is tried
		told        time.Duration // when the person is told by teams, or up to an hour later
		lasts       time.Duration // how long the test goes on
		dead        string        // in the dead letter; empty is none
	}{
		{"no address", always(none), always(taken), 1, 1, 0, hour, ""},
		{"refused", always(refused), always(taken), 1, 1, 0, hour, ""},
		{"put off", always(later), always(taken), 4, 8, hour, 3 * hour, ""},
		{"panics", panics, always(taken), 4, 8, hour, 3 * hour, ""},
		{"down", always(down), always(taken), 4, 17, hour, 3 * hour, ""},
		{"taken", always(taken), always(taken), 1, 1, never, hour, ""},
		{"no address at all", always(none), always(none), 1, 1, never, hour, ""},
		{"refused by both", always(refused), always(refused), 1, 1, never, hour, "mail: answered 550; teams: answered 550"},
		{"then no address", always(refused), always(none), 1, 1, never, hour, "mail: answered 550; teams: the person has no address"},
		{
			"put off by both", always(later), always(later), 4, 8, never, 30 * hour,
			"mail: tried for an hour: answered 450; teams: tried for a day: answered 450",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				b := bustest.Open(t)
				mail, teams := newWay("mail", test.mail), newWay("teams", test.teams)
				abort(t, b, anna, 1, "copies.too-many")
				by(t, b, nil, test.lasts, mail, teams)
				if n := len(mail.tried); n < test.least || n > test.most {
					t.Errorf("mail was tried %d times: %v", n, mail.tried)
				}
				switch sent := teams.sent; {
				case test.told == never && len(sent) > 0, test.told != never && len(sent) != 1:
					t.Errorf("told by teams %d times", len(sent))
				case test.told != never && (sent[0] < test.told || sent[0] > test.told+hour):
					t.Errorf("told by teams after %s", sent[0])
				}
				letters := dead(t, b)
				if test.dead == "" && len(letters) > 0 || test.dead != "" && (len(letters) != 1 || letters[0].Error != test.dead) {
					t.Errorf("dead letters %+v", letters)
				}
			})
		})
	}
}

// What a channel refused is not asked of it again after a restart.
func TestRefusedOnceThroughRestart(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, reg := bustest.Open(t), prometheus.NewRegistry()
		mail := newWay("mail", func(time.Duration) error { return &notify.Refused{Why: "answered 550"} })
		teams := newWay("teams", func(since time.Duration) error {
			if since < 30*time.Minute {
				return errors.New("answered 500")
			}
			return nil
		})
		abort(t, b, anna, 1, "copies.too-many")
		by(t, b, reg, 2*time.Minute, mail, teams)
		by(t, b, nil, 2*time.Hour, mail, teams)
		if len(mail.tried) != 1 || len(teams.sent) != 1 {
			t.Errorf("mail was tried %d times, %d sent by teams", len(mail.tried), len(teams.sent))
		}
		if n := value(t, reg, "mail", "next"); n != 1 {
			t.Errorf("%v notices of mail went on to the next channel", n)
		}
	})
}

// While mail is down, people go on being told by the next channel, mail is tried rarely, and what comes
// after it is back goes by mail again.
func TestBackFromNextChannel(t *testing.T) {
	racetest.Skip(t, "hours of what TestGathered does")
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		const mended = 4 * time.Hour
		mail := newWay("mail", func(since time.Duration) error {
			if since < mended {
				return &notify.Down{Why: "no answer"}
			}
			return nil
		})
		teams := newWay("teams", func(time.Duration) error { return nil })
		var running sync.WaitGroup
		running.Go(func() { by(t, b, nil, 6*time.Hour, mail, teams) })
		for i := range 60 {
			abort(t, b, person(i), 1, "copies.too-many")
			time.Sleep(5 * time.Minute) // virtual
		}
		running.Wait()
		if n := len(mail.sent) + len(teams.sent); n != 60 || len(mail.sent) < 10 {
			t.Errorf("%d told by mail, %d by teams", len(mail.sent), len(teams.sent))
		}
		if n := len(mail.tried) - len(mail.sent); n > 5*12 {
			t.Errorf("mail was tried %d times in %s", n, mended)
		}
	})
}

// value is a count of pullprint_notices_total over all kinds.
func value(t *testing.T, reg *prometheus.Registry, channel, result string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if strings.HasSuffix(f.GetName(), "notices_total") && labels["channel"] == channel && labels["result"] == result {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
