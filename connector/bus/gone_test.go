package bus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/disk"
	"pullprint/connector/store"
)

// A stream of tasks that is removed is made again, and the same task is stored in it;
// a start afterwards takes that for no loss. Buckets that nothing can make up for are
// named.
func TestStreamIsGone(t *testing.T) {
	b := bustest.Open(t)
	if _, err := b.PublishTask(t.Context(), "d", "a", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := b.JetStream().DeleteStream(t.Context(), "PULLPRINT_TASKS"); err != nil {
		t.Fatal(err)
	}
	if err := b.Canary(t.Context()); err != nil {
		t.Fatal("the stream of tasks is not made again:", err)
	}
	duplicate, err := b.PublishTask(t.Context(), "d", "a", []byte("{}"))
	if err != nil || duplicate {
		t.Errorf("a task that is lost is taken for stored: %v, %v", duplicate, err)
	}
	mustLag(t, b, 1, 0) // the consumer is made again, too
	b = bustest.Reopen(t, b)
	for _, bucket := range []string{"KV_pullprint_badges", "KV_pullprint_quota"} {
		if err := b.JetStream().DeleteStream(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
		if err := b.Canary(t.Context()); !errors.Is(err, bus.ErrGone) || !strings.Contains(err.Error(), bucket) {
			t.Errorf("%s is gone, the canary says %v", bucket, err)
		}
	}
}

// An external store that comes back empty is told of; one that comes back without
// badges is refused until the loss is accepted.
func TestExternalComesBackEmpty(t *testing.T) {
	cfg := bus.Config{URL: bustest.External(t)}
	core, logs := observer.New(zap.WarnLevel)
	open := func() (*bus.Bus, error) {
		return bus.Open(t.Context(), cfg, bus.Options{Logger: zap.New(core)})
	}
	b, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if n := logs.FilterMessageSnippet("without badges and accounts").Len(); n != 1 {
		t.Errorf("an empty store is told of %d times", n)
	}
	logs.TakeAll()
	if err := b.JetStream().DeleteStream(t.Context(), "KV_pullprint_badges"); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err = open(); err == nil {
		b.Close()
	}
	if !errors.Is(err, disk.ErrLost) || !strings.Contains(err.Error(), "KV_pullprint_badges") {
		t.Fatal("a store without badges:", err)
	}
	lost, err := bus.AcceptLoss(t.Context(), cfg, bus.Options{Instance: "verb"}, "ada", func([]disk.Loss) error { return nil })
	if err != nil || len(lost) != 1 {
		t.Fatal(lost, err)
	}
	if b, err = open(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if n := logs.FilterMessageSnippet("without badges and accounts").Len(); n != 0 {
		t.Error("a store with something in it is told to be empty")
	}
}

// An external store that came back empty is told of at the next start too, when the daemon
// that ran meanwhile has made some of its streams again.
func TestExternalCameBackEmpty(t *testing.T) {
	cfg := bus.Config{URL: bustest.External(t)}
	b, err := bus.Open(t.Context(), cfg, bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name := range b.JetStream().StreamNames(t.Context()).Name() {
		if err := b.JetStream().DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Canary(t.Context()); !errors.Is(err, bus.ErrGone) {
		t.Errorf("the canary says %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.WarnLevel)
	if b, err = bus.Open(t.Context(), cfg, bus.Options{Logger: zap.New(core)}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if n := logs.FilterMessageSnippet("without badges and accounts").Len(); n != 1 {
		t.Errorf("an empty store is told of %d times", n)
	}
}

// An external store that comes back without a part is refused until the loss is accepted,
// whichever part it is; what can be made again without harm is.
func TestExternalComesBackInPart(t *testing.T) {
	for _, parts := range [][]string{
		{"KV_pullprint_jobs"},
		{"KV_pullprint_quota"},
		{"KV_pullprint_state"},
		{"PULLPRINT_AUDIT"},
		{"PULLPRINT_LEDGER"},
		{"KV_pullprint_state", "KV_pullprint_badges", "KV_pullprint_quota"},
		{"KV_pullprint_jobs", "PULLPRINT_LEDGER", "PULLPRINT_TASKS"},
		{"PULLPRINT_TASKS", "PULLPRINT_DECISIONS", "PULLPRINT_DEAD", "PULLPRINT_NOTICES"},
	} {
		t.Run(strings.Join(parts, " "), func(t *testing.T) {
			cfg := bus.Config{URL: bustest.External(t)}
			b, err := bus.Open(t.Context(), cfg, bus.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.PublishAudit(t.Context(), "enrol", "a", []byte("{}")); err != nil {
				t.Fatal(err)
			}
			if _, ok, err := b.Badges().CompareAndSet(t.Context(), "a", []byte("{}"), 0, 0); err != nil || !ok {
				t.Fatal(ok, err)
			}
			want := 0
			for _, name := range parts {
				if err := b.JetStream().DeleteStream(t.Context(), name); err != nil {
					t.Fatal(err)
				}
				switch name {
				case "PULLPRINT_TASKS", "PULLPRINT_DECISIONS", "PULLPRINT_DEAD", "PULLPRINT_NOTICES":
				default:
					want++
				}
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			if b, err = bus.Open(t.Context(), cfg, bus.Options{}); err == nil {
				b.Close()
			}
			if errors.Is(err, disk.ErrLost) != (want > 0) || want > 0 && !strings.Contains(err.Error(), parts[0]) {
				t.Fatal("a store in part:", err)
			}
			lost, err := bus.AcceptLoss(t.Context(), cfg, bus.Options{Instance: "verb"}, "ada", func([]disk.Loss) error { return nil })
			if err != nil || len(lost) != want {
				t.Fatal(lost, err)
			}
			if b, err = bus.Open(t.Context(), cfg, bus.Options{}); err != nil {
				t.Fatal(err)
			}
			b.Close()
		})
	}
}

// again removes a stream and makes it again, as a server that comes back with nothing in
// it would.
func again(t *testing.T, b *bus.Bus, name string) {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.JetStream().DeleteStream(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if _, err := b.JetStream().CreateStream(t.Context(), s.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
}

// Who follows a stream is told to begin afresh when it was removed or came back with less
// than before, and does not wait for it to come as far as it was.
func TestFollowedStreamComesBackWithLess(t *testing.T) {
	b := bustest.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer time.AfterFunc(time.Minute, cancel).Stop()
	store := func() {
		t.Helper()
		if err := b.PublishDecision(ctx, "hold", "", []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Jobs().CompareAndSet(ctx, "a", []byte("{}"), 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	store()
	follow := map[string]func(heard func()) error{
		"PULLPRINT_DECISIONS": func(heard func()) error {
			return b.Decisions(ctx, time.Time{}, true, func(time.Time, []byte) error { heard(); return nil })
		},
		"KV_pullprint_jobs": func(heard func()) error {
			return b.Jobs().Watch(ctx, ">", func(string, []byte, uint64) { heard() }, nil)
		},
	}
	for name, follow := range follow {
		heard, ended := make(chan struct{}, 10), make(chan error, 1)
		go func() { ended <- follow(func() { heard <- struct{}{} }) }()
		<-heard
		again(t, b, name)
		store() // it comes as far as it was at once
		if err := <-ended; err == nil || ctx.Err() != nil {
			t.Errorf("%s came back with less, its reading ends with %v", name, err)
		}
	}
}

// limitedServer is an external server with limits.
func limitedServer(t *testing.T, limits server.JSLimitOpts, account jetStreamLimits) string {
	t.Helper()
	return bustest.ExternalWith(t, func(o *server.Options) { o.JetStreamLimits = limits }, account)
}

type jetStreamLimits = map[string]server.JetStreamAccountLimits

// Requests keep to the limits of the server; what can't be made says what to do.
func TestServerLimits(t *testing.T) {
	url := limitedServer(t, server.JSLimitOpts{MaxRequestBatch: 3, MaxAckPending: 2000}, nil)
	b, err := bus.Open(t.Context(), bus.Config{URL: url}, bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		if _, err := b.PublishTask(t.Context(), "d", id, []byte(id)); err != nil {
			t.Fatal(err)
		}
		if err := b.PublishDead(t.Context(), id, []byte(id)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	seen := make(chan string, 10)
	ended := make(chan error)
	go func() {
		ended <- b.Consume(ctx, 4, func(_ context.Context, d store.Delivery) store.Disposition {
			seen <- string(d.Body)
			return store.Done()
		})
	}()
	for range 5 {
		select {
		case <-seen:
		case <-ctx.Done():
			t.Fatal("tasks are not fetched")
		}
	}
	cancel()
	<-ended
	n := 0
	if err := b.Dead(t.Context(), time.Time{}, false, func(time.Time, []byte) error { n++; return nil }); err != nil || n != 5 {
		t.Errorf("read %d of 5: %v", n, err)
	}

	for _, c := range []struct {
		name    string
		limits  server.JSLimitOpts
		account server.JetStreamAccountLimits
		cfg     bus.Config
		want    string
	}{
		{"duplicate_window", server.JSLimitOpts{Duplicates: time.Minute}, unlimited(), bus.Config{}, "duplicate_window of 6h"},
		{"max_ack_pending", server.JSLimitOpts{MaxAckPending: 100}, unlimited(), bus.Config{}, "max_ack_pending is 100"},
		{"max_bytes_required", server.JSLimitOpts{}, with(func(l *server.JetStreamAccountLimits) {
			l.MaxBytesRequired = true
		}), bus.Config{}, "nats.max_bytes"},
		{"max_bytes_required, and given", server.JSLimitOpts{}, with(func(l *server.JetStreamAccountLimits) {
			l.MaxBytesRequired = true
		}), bus.Config{MaxBytes: 64 << 20}, ""},
		{
			"max_streams",
			server.JSLimitOpts{},
			with(func(l *server.JetStreamAccountLimits) { l.MaxStreams = 4 }),
			bus.Config{},
			"max_streams",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.URL = limitedServer(t, c.limits, jetStreamLimits{"": c.account})
			b, err := bus.Open(t.Context(), c.cfg, bus.Options{})
			if err == nil {
				b.Close()
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func unlimited() server.JetStreamAccountLimits {
	return server.JetStreamAccountLimits{
		MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1,
	}
}

func with(change func(*server.JetStreamAccountLimits)) server.JetStreamAccountLimits {
	l := unlimited()
	change(&l)
	return l
}
