package bus_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
)

const leaseKey = "lease.sweep"

// One at a time; the next one begins as soon as the lease is given back, and it
// is kept for as long as it takes.
func TestLeaseHandover(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		var holders, most atomic.Int64
		begun := make(chan time.Time, 10)
		for range 3 {
			go func() {
				err := b.WithLease(t.Context(), "sweep", "me", 15*time.Second, func(ctx context.Context) error {
					begun <- time.Now()
					most.Store(max(most.Load(), holders.Add(1)))
					defer holders.Add(-1)
					select {
					case <-ctx.Done():
						t.Error("lost a lease that was renewed")
					case <-time.After(10 * time.Minute):
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}()
		}
		var last time.Time
		for i := range 3 {
			at := <-begun
			if i > 0 {
				if gap := at.Sub(last); gap < 10*time.Minute || gap > 10*time.Minute+time.Second {
					t.Errorf("taken over after %v, want 10 min", gap)
				}
			}
			last = at
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if most.Load() != 1 {
			t.Errorf("%d holders at once", most.Load())
		}
		mustAbsent(t, b.State(), leaseKey)
	})
}

// When its holder dies the lease ends by itself, soon, but not before its time.
func TestLeaseOfDeadHolder(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		mustSet(t, b.State(), leaseKey, "dead", 0, 15*time.Second)
		start := time.Now()
		err := b.WithLease(t.Context(), "sweep", "me", 15*time.Second, func(context.Context) error { return nil })
		if took := time.Since(start); err != nil || took < 15*time.Second || took > 18*time.Second {
			t.Errorf("taken over after %v, %v; want 15 to 18 s", took, err)
		}
	})
}

// Who loses the lease is told, and waits for it again.
func TestLeaseLost(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		reg, o := withRegistry()
		b := bustest.Open(t, bustest.With(o))
		own := errors.New("own end")
		runs := 0
		start := time.Now()
		err := b.WithLease(t.Context(), "sweep", "me", 15*time.Second, func(ctx context.Context) error {
			if runs++; runs == 2 {
				return own
			}
			_, revision, err := b.State().Get(ctx, leaseKey)
			if err != nil {
				t.Error(err)
			}
			mustSet(t, b.State(), leaseKey, "thief", revision, 20*time.Second)
			<-ctx.Done()
			if told := time.Since(start); told > 6*time.Second {
				t.Errorf("told after %v", told)
			}
			return ctx.Err()
		})
		if took := time.Since(start); !errors.Is(err, own) || runs != 2 || took < 20*time.Second || took > 25*time.Second {
			t.Errorf("%d runs in %v, %v", runs, took, err)
		}
		if n := metric(t, reg, "pullprint_bus_leases_lost_total", ""); n != 1 {
			t.Errorf("%v leases lost", n)
		}
	})
}

// Without the server a lease can't be renewed: its holder stops before it ends.
func TestLeaseUnreachable(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		ctx, stop := context.WithCancel(t.Context())
		start := time.Now()
		err := b.WithLease(ctx, "sweep", "me", 30*time.Second, func(running context.Context) error {
			bustest.Kill(t, b)
			<-running.Done()
			if told := time.Since(start); told > 30*time.Second {
				t.Errorf("told after %v", told)
			}
			stop()
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestLeaseEnd(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		ctx, stop := context.WithCancel(t.Context())
		err := b.WithLease(ctx, "sweep", "me", 15*time.Second, func(ctx context.Context) error {
			stop()
			time.Sleep(time.Minute) // still ours while we tidy up
			if _, revision, err := b.State().Get(context.WithoutCancel(ctx), leaseKey); revision == 0 || err != nil {
				t.Error(revision, err)
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		mustAbsent(t, b.State(), leaseKey)
	})
}

// A panic of who has a lease ends neither the process nor the work.
func TestLeasePanic(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		n := 0
		err := b.WithLease(t.Context(), "sweep", "a", 10*time.Second, func(context.Context) error {
			if n++; n < 3 {
				panic("outside")
			}
			return nil
		})
		if err != nil || n != 3 {
			t.Error(n, err)
		}
	})
}

// Of a store that does not answer it is logged that the lease can't be taken.
func TestLeaseNotTakenIsLogged(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		b := bustest.Open(t, bustest.With(bus.Options{Logger: zap.New(core)}))
		if err := b.JetStream().DeleteStream(t.Context(), "KV_pullprint_state"); err != nil {
			t.Fatal(err)
		}
		silent, err := b.Conn().SubscribeSync("$KV.pullprint_state.>") // in its place: it takes writes and says nothing
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = silent.Unsubscribe() }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err = b.WithLease(ctx, "sweep", "me", 15*time.Second, func(context.Context) error { return nil })
		if n := logs.FilterMessage("lease not acquired").Len(); !errors.Is(err, context.DeadlineExceeded) || n < 2 {
			t.Errorf("it was told %d times: %v", n, err)
		}
	})
}
