package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/consume"
	"pullprint/connector/store"
)

func mustPublish(t *testing.T, b *bus.Bus, id string) {
	t.Helper()
	if _, err := b.PublishTask(t.Context(), "def", id, []byte(id)); err != nil {
		t.Fatal(err)
	}
}

func mustLag(t *testing.T, b *bus.Bus, pending, unacked int) {
	t.Helper()
	p, a, err := b.Lag(t.Context())
	for range 50 { // the server counts beside the acknowledgement
		if p == pending && a == unacked || err != nil {
			break
		}
		<-time.After(20 * time.Millisecond)
		p, a, err = b.Lag(t.Context())
	}
	if p != pending || a != unacked || err != nil {
		t.Errorf("lag is %d pending, %d unacknowledged, %v; want %d and %d", p, a, err, pending, unacked)
	}
}

func TestRetry(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		mustPublish(t, b, "t1")
		ctx, stop := context.WithCancel(t.Context())
		start := time.Now()
		err := b.Consume(ctx, 4, func(_ context.Context, d store.Delivery) store.Disposition {
			if string(d.Body) != "t1" || d.Definition != "def" || d.Subject != "pullprint.tasks.def" ||
				d.Sequence != 1 || d.Stored.After(start) {
				t.Errorf("%+v", d)
			}
			if at := time.Since(start); at < time.Duration(d.Delivered-1)*time.Minute ||
				at > time.Duration(d.Delivered-1)*time.Minute+time.Second {
				t.Errorf("attempt %d after %v", d.Delivered, at)
			}
			if d.Delivered == 12 { // nobody but the caller gives up
				stop()
				return store.Done()
			}
			return store.Retry(time.Minute)
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		mustLag(t, b, 0, 0)
	})
}

// A message that someone took and never answered comes again after the ack
// wait; one that is in work, or waits for a worker, doesn't, however long.
func TestAckWaitAndBeats(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		mustPublish(t, b, "lost")
		c, err := b.JetStream().Consumer(t.Context(), "PULLPRINT_TASKS", "connector")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Next(); err != nil {
			t.Fatal(err)
		}
		mustPublish(t, b, "slow")
		mustPublish(t, b, "waiting")
		ctx, stop := context.WithCancel(t.Context())
		start := time.Now()
		err = b.Consume(ctx, 1, func(_ context.Context, d store.Delivery) store.Disposition {
			switch id := string(d.Body); id {
			case "lost":
				if d.Delivered != 2 || time.Since(start) < 25*time.Second {
					t.Errorf("%s: attempt %d after %v", id, d.Delivered, time.Since(start))
				}
				stop()
			case "slow":
				time.Sleep(10 * time.Minute)
				fallthrough
			case "waiting":
				if d.Delivered != 1 {
					t.Errorf("%s: attempt %d", id, d.Delivered)
				}
			}
			return store.Done()
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		synctest.Wait() // an acknowledgement is under way
		mustLag(t, b, 0, 0)
	})
}

func TestDrain(t *testing.T) {
	for _, c := range []struct {
		work      time.Duration
		want      time.Duration
		cancelled bool
	}{{10 * time.Second, 10 * time.Second, false}, {time.Hour, 20 * time.Second, true}} {
		bustest.Virtual(t, func(t *testing.T) {
			b := bustest.Open(t)
			for i := range 5 {
				mustPublish(t, b, fmt.Sprint(i))
			}
			ctx, stop := context.WithCancel(t.Context())
			var begun atomic.Int64
			var stopped time.Time
			err := b.Consume(ctx, 2, func(ctx context.Context, _ store.Delivery) store.Disposition {
				if begun.Add(1) == 2 {
					synctest.Wait() // the other two that fit are waiting by now
					stopped = time.Now()
					stop()
				}
				select {
				case <-time.After(c.work):
					return store.Done()
				case <-ctx.Done():
					return store.Retry(0)
				}
			})
			if !errors.Is(err, context.Canceled) || time.Since(stopped) != c.want {
				t.Errorf("ended after %v with %v, want %v", time.Since(stopped), err, c.want)
			}
			if begun.Load() != 2 {
				t.Errorf("%d begun, want 2", begun.Load())
			}
			// What was not done is for others to have, at once.
			done := 2
			if c.cancelled {
				done = 0
			}
			again, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			got := 0
			_ = b.Consume(again, 1, func(context.Context, store.Delivery) store.Disposition { got++; return store.Done() })
			if got != 5-done {
				t.Errorf("%d left for others, want %d", got, 5-done)
			}
		})
	}
}

// A server that holds messages back looks like a stalled consumer.
func TestStalledConsumer(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		reg, o := withRegistry()
		b := bustest.Open(t, bustest.With(o))
		s, err := b.JetStream().Stream(t.Context(), "PULLPRINT_TASKS")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		got := make(chan string, 10)
		ended := make(chan error)
		go func() {
			ended <- b.Consume(ctx, 2, func(_ context.Context, d store.Delivery) store.Disposition {
				got <- string(d.Body)
				return store.Done()
			})
		}()
		const rebuilds = "pullprint_bus_consumer_rebuilds_total"
		time.Sleep(10 * time.Minute) // silence with nothing pending is no stall
		if n := metric(t, reg, rebuilds, ""); n != 0 {
			t.Errorf("%v rebuilds of an idle consumer", n)
		}
		if _, err := s.PauseConsumer(t.Context(), "connector", time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		mustPublish(t, b, "paused")
		time.Sleep(30 * time.Second)
		if n := metric(t, reg, rebuilds, ""); n < 1 || n > 2 {
			t.Errorf("%v rebuilds of a stalled consumer in 30 s, want 1 or 2", n)
		}
		if id := <-got; id != "paused" {
			t.Error(id)
		}
		// One that is gone is made again, and what is stored comes again.
		if err := s.DeleteConsumer(t.Context(), "connector"); err != nil {
			t.Fatal(err)
		}
		mustPublish(t, b, "later")
		for seen := ""; seen != "later"; {
			seen = <-got
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err := s.Consumer(t.Context(), "connector"); err != nil {
			t.Error(err)
		}
	})
}

// Consuming tells a loop that turns from one that waits for its workers, and how long
// those have been at a task.
func TestConsuming(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		check := func(when string, turns bool, oldest time.Duration) {
			t.Helper()
			turned, since := b.Consuming()
			if turned.IsZero() == turns || (turns && time.Since(turned) > consume.FetchLimit/2) {
				t.Errorf("%s: the loop turned at %v", when, turned)
			}
			if got := time.Since(since).Round(time.Second); since.IsZero() != (oldest == 0) || (oldest != 0 && got != oldest) {
				t.Errorf("%s: a worker has had a task for %v, want %v", when, got, oldest)
			}
		}
		check("before", false, 0)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		hold := make(chan struct{})
		go func() {
			ended <- b.Consume(ctx, 2, func(context.Context, store.Delivery) store.Disposition {
				<-hold
				return store.Done()
			})
		}()
		for range 10 {
			time.Sleep(time.Minute)
			check("idle", true, 0)
		}
		mustPublish(t, b, "1")
		time.Sleep(10 * time.Minute)
		check("one worker busy", true, 10*time.Minute)
		for i := range 8 {
			mustPublish(t, b, fmt.Sprint(i+2))
		}
		time.Sleep(10 * time.Minute)
		check("all busy", false, 20*time.Minute)
		close(hold)
		time.Sleep(time.Minute)
		check("idle again", true, 0)
		stop()
		<-ended
		check("after", false, 0)
	})
}

func TestWorkers(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	const n = 2000
	together(n, func(i int) { mustPublish(t, b, fmt.Sprint(i)) })
	ctx, stop := context.WithCancel(t.Context())
	var now, most, done atomic.Int64
	err := b.Consume(ctx, 8, func(context.Context, store.Delivery) store.Disposition {
		at := now.Add(1)
		for {
			m := most.Load()
			if at <= m || most.CompareAndSwap(m, at) {
				break
			}
		}
		now.Add(-1)
		if done.Add(1) == n {
			stop()
		}
		return store.Done()
	})
	if !errors.Is(err, context.Canceled) || done.Load() != n || most.Load() > 8 {
		t.Errorf("%d done, %d at once, %v", done.Load(), most.Load(), err)
	}
	if err := b.Consume(t.Context(), 0, nil); err == nil || errors.Is(err, context.Canceled) {
		t.Error("no workers:", err)
	}
}

func TestRecords(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		var got []string
		read := func(ctx context.Context, since time.Time, follow bool) error {
			got = nil
			return b.Decisions(ctx, since, follow, func(stored time.Time, body []byte) error {
				if stored.Before(since) || stored.After(time.Now()) {
					t.Errorf("stored %v", stored)
				}
				got = append(got, string(body))
				return nil
			})
		}
		if err := read(t.Context(), time.Time{}, false); err != nil || got != nil {
			t.Error(got, err)
		}
		publish := func(id string) {
			if err := b.PublishDecision(t.Context(), "hold", id, []byte(id)); err != nil {
				t.Fatal(err)
			}
		}
		publish("1")
		publish("1") // once per id
		time.Sleep(time.Hour)
		noon := time.Now()
		publish("2")
		if err := read(t.Context(), time.Time{}, false); err != nil || fmt.Sprint(got) != "[1 2]" {
			t.Error(got, err)
		}
		if err := read(t.Context(), noon, false); err != nil || fmt.Sprint(got) != "[2]" {
			t.Error(got, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- read(ctx, noon, true) }()
		synctest.Wait()
		time.Sleep(5 * time.Minute) // longer than an idle consumer lives
		publish("3")
		synctest.Wait()
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) || fmt.Sprint(got) != "[2 3]" {
			t.Error(got, err)
		}
		if err := b.PublishDead(t.Context(), "x", []byte("why")); err != nil {
			t.Fatal(err)
		}
		dead := 0
		stopIt := errors.New("stop")
		err := b.Dead(t.Context(), time.Time{}, true, func(time.Time, []byte) error { dead++; return stopIt })
		if dead != 1 || err != stopIt { //nolint:errorlint // the very error
			t.Error(dead, err)
		}
		s, err := b.JetStream().Stream(t.Context(), "PULLPRINT_DECISIONS")
		if err != nil {
			t.Fatal(err)
		}
		for info := range s.ListConsumers(t.Context()).Info() {
			t.Errorf("consumer %s left behind", info.Name)
		}
	})
}

// What still runs when the bus is closed ends with an error.
func TestCloseBelow(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		ended := make(chan error, 3)
		go func() {
			ended <- b.Consume(t.Context(), 2, func(context.Context, store.Delivery) store.Disposition { return store.Done() })
		}()
		go func() {
			ended <- b.Jobs().Watch(t.Context(), ">", func(string, []byte, uint64) {}, func() {})
		}()
		go func() {
			ended <- b.Decisions(t.Context(), time.Time{}, true, func(time.Time, []byte) error { return nil })
		}()
		synctest.Wait()
		start := time.Now()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		for range 3 {
			if err := <-ended; err == nil || errors.Is(err, context.Canceled) || time.Since(start) > time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		}
	})
}
