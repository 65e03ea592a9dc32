package bus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/dial"
	"pullprint/connector/bus/disk"
	"pullprint/connector/bus/schema"
	"pullprint/connector/store"
)

func embedded(dir string, size store.Size) bus.Config {
	return bus.Config{Embedded: &bus.Embedded{StoreDir: dir, MaxStore: size}}
}

// mustFail opens a bus that can't be opened and checks what the error says.
func mustFail(t *testing.T, cfg bus.Config, is error, says ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	b, err := bus.Open(ctx, cfg, bus.Options{})
	if err == nil {
		_ = b.Close()
		t.Fatal("opened")
	}
	if is != nil && !errors.Is(err, is) {
		t.Errorf("%v: is not %v", err, is)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q doesn't say %q", err, s)
		}
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(bustest.TempDir(t), "deep", "store")
	b := bustest.Open(t, bustest.Dir(dir))
	start := time.Now()
	mustFail(t, embedded(dir, 0), disk.ErrLocked, fmt.Sprint("process ", os.Getpid()), dir, "stop that process")
	if took := time.Since(start); took > time.Second {
		t.Errorf("refused after %v", took)
	}
	if err := b.Canary(t.Context()); err != nil {
		t.Errorf("the holder was disturbed: %v", err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Error(info.Mode(), err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error("second close:", err)
	}
	if _, err := b.PublishTask(t.Context(), "d", "x", nil); err == nil {
		t.Error("published after close")
	}
	if b, err := bus.Open(t.Context(), embedded(dir, 0), bus.Options{}); err != nil {
		t.Error("not free after close:", err)
	} else if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestBadStore(t *testing.T) {
	t.Parallel()
	file := filepath.Join(bustest.TempDir(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustFail(t, embedded(file, 0), nil, "nats.embedded.store_dir")
	mustFail(t, embedded(filepath.Join(file, "x"), 0), nil, "nats.embedded.store_dir")
	if os.Getuid() != 0 {
		dir := bustest.TempDir(t)
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		mustFail(t, embedded(dir, 0), os.ErrPermission, "has to be writable")
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cfg  bus.Config
		says string
	}{
		{bus.Config{}, "set embedded.store_dir"},
		{bus.Config{Embedded: &bus.Embedded{StoreDir: "x"}, URL: "nats://x"}, "exclude each other"},
		{embedded("", 0), "store_dir: missing"},
	} {
		mustFail(t, c.cfg, nil, c.says)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]store.Size{
		"0": 0, "1024": 1024, "2GiB": 2 << 30, "512MiB": 512 << 20, "500MB": 500e6, " 3 gib ": 3 << 30, "1kB": 1000,
		"7B": 7, "1TiB": 1 << 40,
	} {
		var s store.Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("%q: %d, %v; want %d", in, s, err, want)
		}
		var again store.Size
		text, _ := s.MarshalText()
		if err := again.UnmarshalText(text); err != nil || again != s {
			t.Errorf("%q: %d comes back as %q, %d, %v", in, s, text, again, err)
		}
	}
	if text := store.Size(2 << 30).String(); text != "2GiB" {
		t.Error(text)
	}
	for _, in := range []string{"", "GiB", "-1", "1.5GiB", "1XB", "9999999999TiB", "1 000"} {
		var s store.Size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q is %d", in, s)
		}
	}
}

// max_store may be changed either way; what is stored stays.
func TestResize(t *testing.T) {
	t.Parallel()
	dir := bustest.TempDir(t)
	for _, size := range []store.Size{256 << 20, 1 << 30, 64 << 20, 0} {
		b, err := bus.Open(t.Context(), embedded(dir, size), bus.Options{})
		if err != nil {
			t.Fatalf("with %v: %v", size, err)
		}
		if _, err := b.PublishTask(t.Context(), "d", "same", make([]byte, 100<<10)); err != nil {
			t.Errorf("with %v: %v", size, err)
		}
		s, err := b.JetStream().Stream(t.Context(), "PULLPRINT_TASKS")
		if err != nil {
			t.Fatal(err)
		}
		if size == 0 {
			size = 2 << 30
		}
		if most := s.CachedInfo().Config.MaxBytes; most != int64(size)/100*30 {
			t.Errorf("with %v tasks may take %d", size, most)
		}
		mustLag(t, b, 1, 0)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// external runs a server that listens, as others would run it.
func external(t *testing.T, dir string, port int) (*server.Server, string) {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		ServerName: "ext", Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("not ready")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s, s.ClientURL()
}

func openExternal(t *testing.T, url string) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{URL: url}, bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestExternal(t *testing.T) {
	t.Parallel()
	_, url := external(t, bustest.TempDir(t), -1)
	one, two := openExternal(t, url), openExternal(t, url)
	r := mustSet(t, one.Jobs(), "a", "1", 0, 0)
	if _, ok, err := two.Jobs().CompareAndSet(t.Context(), "a", []byte("2"), 0, 0); ok || err != nil {
		t.Error(ok, err)
	}
	mustSet(t, two.Jobs(), "a", "2", r, 0)
	// The other replica's writes are seen whatever is remembered.
	if v, _, err := one.Jobs().Get(t.Context(), "a"); string(v) != "2" || err != nil {
		t.Error(v, err)
	}
	mustPublish(t, one, "x")
	if dup, err := two.PublishTask(t.Context(), "def", "x", nil); !dup || err != nil {
		t.Error(dup, err)
	}
	mustLag(t, two, 1, 0)
}

// What exists in another form is named and left as it is.
func TestIncompatible(t *testing.T) {
	t.Parallel()
	_, url := external(t, bustest.TempDir(t), -1)
	b := openExternal(t, url)
	ctx := t.Context()
	meddle := func(name string, change func(*jetstream.StreamConfig)) {
		t.Helper()
		s, err := b.JetStream().Stream(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		good := s.CachedInfo().Config
		bad := good
		change(&bad)
		if _, err := b.JetStream().UpdateStream(ctx, bad); err != nil {
			t.Fatal(err)
		}
		mustFail(t, bus.Config{URL: url}, schema.ErrIncompatible, name, "nothing was changed", "nats stream edit")
		s, err = b.JetStream().Stream(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if now := s.CachedInfo().Config; now.MaxAge != bad.MaxAge || now.Duplicates != bad.Duplicates ||
			now.AllowAtomicPublish != bad.AllowAtomicPublish {
			t.Errorf("%s was altered: %+v", name, now)
		}
		if _, err := b.JetStream().UpdateStream(ctx, good); err != nil {
			t.Fatal(err)
		}
	}
	meddle("PULLPRINT_TASKS", func(c *jetstream.StreamConfig) { c.Duplicates = time.Minute })
	meddle("PULLPRINT_TASKS", func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld })
	meddle("PULLPRINT_DECISIONS", func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false })
	meddle("KV_pullprint_jobs", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour })
	mustFail(t, bus.Config{URL: url, Replicas: 3}, schema.ErrIncompatible, "num_replicas is 1, want 3")

	// What loses nothing is the operator's to choose.
	s, err := b.JetStream().Stream(ctx, "PULLPRINT_TASKS")
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxAge, cfg.MaxBytes, cfg.Description = 24*time.Hour, 1<<20, "ours"
	if _, err := b.JetStream().UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	openExternal(t, url)

	if err := b.JetStream().DeleteConsumer(ctx, "PULLPRINT_TASKS", "connector"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.JetStream().CreateConsumer(ctx, "PULLPRINT_TASKS",
		jetstream.ConsumerConfig{Durable: "connector", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 5}); err != nil {
		t.Fatal(err)
	}
	mustFail(t, bus.Config{URL: url}, schema.ErrIncompatible, "consumer connector", "max_deliver is 5, want -1")
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	start := time.Now()
	b, err := bus.Open(ctx, bus.Config{URL: "nats://127.0.0.1:1"}, bus.Options{})
	if err == nil {
		_ = b.Close()
		t.Fatal("opened")
	}
	if took := time.Since(start); took < 900*time.Millisecond || took > 5*time.Second || !strings.Contains(err.Error(), "nats.url") {
		t.Errorf("gave up after %v: %v", took, err)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for version, ok := range map[string]bool{
		"2.14.0": true, "2.15.2": true, "v2.14.1-beta.2": true, "3.0.0": true, "2.100.0": true,
		"2.13.9": false, "2.9.25": false, "1.4.1": false, "": false, "x": false,
	} {
		if err := dial.CheckVersion(version); (err == nil) != ok || err != nil && !errors.Is(err, dial.ErrTooOld) {
			t.Errorf("%q: %v", version, err)
		}
	}
}

// Everything goes on after the server was away: watch, consumer and writes.
func TestReconnect(t *testing.T) {
	t.Parallel()
	dir := bustest.TempDir(t)
	s, url := external(t, dir, -1)
	port := s.ClientURL()[strings.LastIndex(s.ClientURL(), ":")+1:]
	b := openExternal(t, url)
	seen := make(chan string, 100)
	caughtUp := make(chan struct{}, 100)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() {
		ended <- b.State().Watch(ctx, ">", func(key string, _ []byte, _ uint64) {
			if key != "format" {
				seen <- key
			}
		}, func() { caughtUp <- struct{}{} })
	}()
	go func() {
		ended <- b.Consume(ctx, 2, func(_ context.Context, d store.Delivery) store.Disposition {
			seen <- string(d.Body)
			return store.Done()
		})
	}()
	<-caughtUp
	mustSet(t, b.State(), "before", "1", 0, 0)
	if k := <-seen; k != "before" {
		t.Error(k)
	}
	back := b.Conn().StatusChanged(nats.CONNECTED)
	s.Shutdown()
	s.WaitForShutdown()
	if _, _, err := b.State().CompareAndSet(t.Context(), "away", nil, 0, 0); err == nil {
		t.Error("a write without a server was acknowledged")
	}
	var n int
	_, _ = fmt.Sscan(port, &n)
	external(t, dir, n)
	<-back
	mustSet(t, b.State(), "after", "1", 0, 0)
	mustPublish(t, b, "task")
	for got := map[string]bool{}; !got["after"] || !got["task"]; {
		k := <-seen
		if got[k] || k == "before" || k == "away" {
			t.Errorf("%s was seen again", k)
		}
		got[k] = true
	}
	stop()
	for range 2 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if len(caughtUp) != 0 {
		t.Error("caught up again")
	}
}
