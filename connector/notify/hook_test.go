package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/notice"
	"pullprint/connector/notify"
	"pullprint/connector/store"
	"pullprint/trigger/racetest"
)

// receiver is a system that remembers ids.
type receiver struct {
	mu   sync.Mutex
	got  []string // ids of notices, in the order in which they came first
	all  int      // with repeats
	fail func(*notice.Notice) error
	slow time.Duration
}

func (*receiver) Key() string            { return "key" }
func (*receiver) Host() string           { return "hooks.contoso.com" }
func (*receiver) Wants(kind string) bool { return kind != notice.Kept }

func (r *receiver) Post(ctx context.Context, n *notice.Notice) error {
	if r.slow > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(r.slow):
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all++
	if r.fail != nil {
		if err := r.fail(n); err != nil {
			return err
		}
	}
	if !slices.Contains(r.got, n.ID) {
		r.got = append(r.got, n.ID)
	}
	return nil
}

func (r *receiver) set(fail func(*notice.Notice) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = fail
}

// counts are how many notices it has, and how often it was posted to.
func (r *receiver) counts() (got, all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got), r.all
}

// dyingReceiver is one that the process may die before or after posting to.
type dyingReceiver struct {
	*receiver
	l *life
}

func (d dyingReceiver) Post(ctx context.Context, n *notice.Notice) error {
	return d.l.around(func() error { return d.receiver.Post(ctx, n) })
}

// The process dies at each step of its work, and a receiver that remembers ids has each notice once;
// what it did not take before the death is posted in the next life.
func TestPostedThroughDeaths(t *testing.T) { // it takes some seconds: each death has a store of its own
	racetest.Skip(t, "one death after the other")
	failsOnce := func() func(*notice.Notice) error {
		failed := false
		return func(n *notice.Notice) error {
			if strings.Contains(n.ID, "-2:") && !failed {
				failed = true
				return errors.New("answered 500")
			}
			return nil
		}
	}
	for steps := 0; steps < 40; steps += 2 { // dying after a step is as dying before the next
		bustest.Virtual(t, func(t *testing.T) {
			b, in, r := bustest.Open(t), &inbox{}, &receiver{fail: failsOnce()}
			for i := range 2 {
				abort(t, b, person(i), i+1, "copies.too-many")
			}
			live(t, b, in, steps, 20*time.Second, r)
			live(t, b, in, -1, 5*time.Minute, r)
			if got, _ := r.counts(); got != 2 || len(dead(t, b)) != 0 {
				t.Errorf("dies after %d steps: %d notices, %d dead letters", steps, got, len(dead(t, b)))
			}
		})
	}
}

// A receiver that is slow or down delays neither mail nor the process, is tried rarely, and gets what
// waited when it works again.
func TestReceiverDown(t *testing.T) {
	racetest.Skip(t, "some hours")
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		r := &receiver{slow: 4 * time.Second, fail: func(*notice.Notice) error { return &notify.Down{Why: "answered 503"} }}
		var running sync.WaitGroup
		running.Go(func() { live(t, b, in, -1, 4*time.Hour, r) })
		const many = 300 // more than wait beside the stream
		for i := range many {
			abort(t, b, person(i), i, "copies.too-many")
		}
		time.Sleep(10 * time.Second) // virtual
		in.mu.Lock()
		if len(in.messages) != many {
			t.Errorf("%d messages by mail while a receiver is slow", len(in.messages))
		}
		in.mu.Unlock()
		time.Sleep(3 * time.Hour)
		value, _, err := b.State().Get(t.Context(), notify.PositionPrefix+"webhook.key")
		if _, all := r.counts(); err != nil || all > 3*40 || len(value) > 64<<10 {
			t.Errorf("%v: %d tries, %d bytes wait", err, all, len(value))
		}
		r.set(nil)
		running.Wait()
		if got, _ := r.counts(); got != many || len(dead(t, b)) != 0 {
			t.Errorf("%d notices, %d dead letters", got, len(dead(t, b)))
		}
	})
}

// What a receiver does not take for a day is a dead letter that says why; other notices don't wait
// for it.
func TestReceiverRefuses(t *testing.T) {
	racetest.Skip(t, "more than a day")
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		r := &receiver{fail: func(n *notice.Notice) error {
			switch {
			case strings.Contains(n.ID, "-1:"):
				return errors.New("answered 500")
			case strings.Contains(n.ID, "-2:"):
				return &notify.Refused{Why: "can't be encoded"}
			case strings.Contains(n.ID, "-3:"):
				panic("this one")
			}
			return nil
		}}
		for i := range 6 {
			abort(t, b, person(i), i, "copies.too-many")
		}
		var running sync.WaitGroup
		running.Go(func() { live(t, b, in, -1, 26*time.Hour, r) })
		time.Sleep(time.Minute) // virtual
		if got, _ := r.counts(); got != 3 {
			t.Errorf("%d notices after a minute", got)
		}
		running.Wait()
		var why []string
		for _, d := range dead(t, b) {
			why = append(why, d.Channel+" "+d.Webhook+" "+d.Error)
		}
		slices.Sort(why)
		const from = "webhook hooks.contoso.com "
		if len(why) != 3 || why[0] != from+"can't be encoded" || why[1] != from+"tried for a day: answered 500" ||
			!strings.HasPrefix(why[2], from+"tried for a day: panic") {
			t.Errorf("dead letters %q", why)
		}
		if _, all := r.counts(); all > 3+2*60 {
			t.Errorf("%d tries", all)
		}
	})
}

// A receiver that is down for more than a day: what became old is given up without a try each, and
// what is new is posted.
func TestReceiverDownForDays(t *testing.T) { // it takes some seconds: more notices than wait beside the stream are given up
	racetest.Skip(t, "days")
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		r := &receiver{fail: func(*notice.Notice) error { return &notify.Down{Why: "answered 503", After: time.Hour} }}
		for i := range 270 {
			abort(t, b, person(i), i, "copies.too-many")
		}
		live(t, b, in, -1, 30*time.Hour, r)
		if n := len(dead(t, b)); n != 270 {
			t.Errorf("%d dead letters", n)
		}
		if _, all := r.counts(); all > 30 {
			t.Errorf("%d tries, though the receiver asked for an hour", all)
		}
		r.set(nil)
		abort(t, b, anna, 1, "copies.too-many")
		live(t, b, in, -1, time.Hour, r)
		if got, _ := r.counts(); got != 1 {
			t.Errorf("%d notices", got)
		}
	})
}

// After a restart with a clock that is a day ahead or behind, what waits goes on being tried, whether a
// receiver does not take one notice or none.
func TestReceiverAndAnotherClock(t *testing.T) {
	for name, failed := range map[string]error{"one": errors.New("answered 500"), "none": &notify.Down{Why: "answered 503"}} {
		t.Run(name, func(t *testing.T) {
			bustest.Virtual(t, func(t *testing.T) {
				b, in, r := bustest.Open(t), &inbox{}, &receiver{fail: func(*notice.Notice) error { return failed }}
				for i := range 3 {
					abort(t, b, person(i), i, "copies.too-many")
				}
				live(t, b, in, -1, 5*time.Minute, r)
				aDayAgo(t, b)
				live(t, b, in, -1, 5*time.Minute, r)
				if n := len(dead(t, b)); n != 0 {
					t.Errorf("%d dead letters: %+v", n, dead(t, b))
				}
				r.set(nil)
				live(t, b, in, -1, 2*time.Hour, r)
				if got, _ := r.counts(); got != 3 {
					t.Errorf("%d notices", got)
				}
			})
		})
	}
}

// aDayAgo makes what waits for the receiver look stored a day earlier, and due a day later.
func aDayAgo(t *testing.T, b *bus.Bus) {
	t.Helper()
	const key = notify.PositionPrefix + "webhook.key"
	value, rev, err := b.State().Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	var position map[string]any
	if err := json.Unmarshal(value, &position); err != nil {
		t.Fatal(err)
	}
	waiting := position["late"].([]any)
	if len(waiting) != 3 {
		t.Fatalf("%d notices wait", len(waiting))
	}
	for _, l := range waiting {
		l.(map[string]any)["stored"] = time.Now().Add(-25 * time.Hour)
		l.(map[string]any)["next"] = time.Now().Add(25 * time.Hour) // before the clock went back
	}
	if value, err = json.Marshal(position); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := b.State().CompareAndSet(t.Context(), key, value, rev, 0); err != nil || !ok {
		t.Fatal(ok, err)
	}
}

// 410 switches a webhook off until the next start; what comes then is posted.
func TestReceiverGone(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		r := &receiver{fail: func(*notice.Notice) error { return fmt.Errorf("answered 410: %w", notify.ErrGone) }}
		for i := range 3 {
			abort(t, b, person(i), i, "copies.too-many")
		}
		live(t, b, in, -1, 5*time.Hour, r)
		if _, all := r.counts(); all != 1 || len(dead(t, b)) != 1 {
			t.Errorf("%d tries, %d dead letters", all, len(dead(t, b)))
		}
		r.set(nil)
		live(t, b, in, -1, time.Hour, r)
		if got, _ := r.counts(); got != 2 {
			t.Errorf("%d notices", got)
		}
	})
}

// What is taken out of the stream, as at the erasure of a person, is not posted any more.
func TestErasedIsNotPosted(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		r := &receiver{fail: func(*notice.Notice) error { return &notify.Down{Why: "answered 503"} }}
		var running sync.WaitGroup
		running.Go(func() { live(t, b, in, -1, 5*time.Hour, r) })
		abort(t, b, anna, 1, "copies.too-many")
		abort(t, b, person(1), 2, "copies.too-many")
		time.Sleep(time.Hour) // virtual
		var first uint64
		err := b.Scan(t.Context(), store.Notices, func(rec store.Record) error {
			if strings.Contains(string(rec.Body), anna) {
				first = rec.Sequence
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Remove(t.Context(), store.Notices, []uint64{first}); err != nil {
			t.Fatal(err)
		}
		r.set(nil)
		running.Wait()
		if got, _ := r.counts(); got != 1 || !strings.Contains(r.got[0], person(1)) {
			t.Errorf("posted %q", r.got)
		}
	})
}
