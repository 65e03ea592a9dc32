package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/disk"
	"pullprint/connector/store"
	"pullprint/trigger/racetest"
)

// damageValue flips a bit in the newest record of a bucket that has text in it.
func damageValue(t *testing.T, dir, bucket, text string) {
	t.Helper()
	flip(t, filepath.Join(dir, "jetstream", "*", "streams", "KV_pullprint_"+bucket, "msgs", "*.blk"), text)
}

// flip flips a bit in the last occurrence of text in the one file that fits.
func flip(t *testing.T, pattern, text string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	block, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(block, []byte(text))
	if at < 0 {
		t.Fatalf("%s has no %s", files[0], text)
	}
	f, err := os.OpenFile(files[0], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte{block[at] ^ 1}, int64(at))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// A record that rots while the store is in use is never taken for one that is not
// there, by no way of reading, and no reader waits for it for ever.
func TestRotWhileRunning(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(bustest.TempDir(t), "nats")
	b := bustest.Open(t, bustest.Dir(dir))
	furnish(t, b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	damageValue(t, dir, "quota", `"key":5,"round":2`)
	damageValue(t, dir, "jobs", `"key":5,"round":2`)

	b, err := bus.OpenUnchecked(t.Context(), config(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()

	if value, _, err := b.Quota().Get(t.Context(), "k.05"); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a damaged account reads as %.20q, %v", value, err)
	}
	if value, revision, err := b.Quota().Get(t.Context(), "k.99"); value != nil || revision != 0 || err != nil {
		t.Errorf("an account that is not there reads as %.20q, %v", value, err)
	}
	n := 0
	if err := b.Quota().Each(t.Context(), "k.>", func(string, []byte,
		uint64,
	) error {
		n++
		return nil
	}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("%d accounts are taken for all: %v", n, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	if err := b.Jobs().Watch(ctx, ">", func(string, []byte, uint64) {}, nil); !errors.Is(err, store.ErrDamaged) ||
		!strings.Contains(err.Error(), "pullprint_jobs") {
		t.Errorf("watching the jobs: %v", err)
	}
	if _, err := b.Backup(ctx, io.Discard); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("backup: %v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("readers took %s to give up", took)
	}
}

// What was accepted as lost is taken out, all that can be read stays, and the store
// is whole again.
func TestAcceptDamage(t *testing.T) {
	racetest.Skip(t, "one start after the other")
	t.Parallel()
	dir := filepath.Join(bustest.TempDir(t), "nats")
	b := bustest.Open(t, bustest.Dir(dir))
	furnish(t, b)
	want, err := everything(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	damageValue(t, dir, "badges", `"key":5,"round":2`)
	_, err = bus.Open(t.Context(), config(dir), bus.Options{})
	if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "KV_pullprint_badges") ||
		!strings.Contains(err.Error(), "pullprint restore") {
		t.Fatal("opened a damaged store:", err)
	}
	if err := bus.Backup(t.Context(), config(dir), bus.Options{}, io.Discard); !errors.Is(err, store.ErrDamaged) {
		t.Error("backup of a damaged store:", err)
	}
	lost, err := bus.AcceptLoss(t.Context(), config(dir), bus.Options{}, "ada", func([]disk.Loss) error { return nil })
	if err != nil || len(lost) != 1 || !strings.Contains(lost[0].String(), "KV_pullprint_badges") {
		t.Fatal(lost, err)
	}
	if b, err = bus.Open(t.Context(), config(dir), bus.Options{}); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got, err := everything(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	for part, keys := range want {
		for key, value := range keys {
			if part == "badges" && key == "k.05" || part == "audit" {
				continue
			}
			if got[part][key] != value {
				t.Errorf("%s: %s is lost as well", part, key)
			}
		}
	}
}

// Keys that come to their end leave nothing that looks like a loss, however the store
// is stopped.
func TestScanKnowsWhatExpired(t *testing.T) {
	racetest.Skip(t, "one life after the other")
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t, bustest.Dir(filepath.Join(bustest.TempDir(t), "nats")))
		for round := range 4 {
			for name, kv := range bucketsOf(b) {
				for _, key := range []string{"a", "b", "c"} {
					if _, ok, err := kv.CompareAndSet(t.Context(), key, []byte(name), 0, 2*time.Second); err != nil || !ok {
						t.Fatal(round, key, ok, err)
					}
				}
			}
			// Until the keys have expired, and then their marks.
			time.Sleep([]time.Duration{time.Second, 10 * time.Second, 2 * time.Hour, 0}[round])
			if round%2 == 0 {
				time.Sleep(time.Minute)
				bustest.Kill(t, b)
			}
			b = bustest.Reopen(t, b)
			time.Sleep(2 * time.Hour)
		}
	})
}

// Tasks that rot are skipped and named, and what can be read is delivered, also while one
// that was delivered before comes again and again. One whose length is damaged takes
// those with it that are in its block.
func TestRottenTasks(t *testing.T) {
	const tasks = 40
	for _, rot := range []struct {
		name     string
		task, at int // byte of the record: its length is at 0, what is stored at 1000
		least    int // tasks that come
	}{{"first", 0, 1000, tasks - 1}, {
		"middle", 4, 1000, tasks - 1,
	}, {"length of the first", 0, 2, 5}, {"length", 4, 2, 5}, {"subject", 4, 20, 5}} {
		t.Run(rot.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(bustest.TempDir(t), "nats")
			b := bustest.Open(t, bustest.Dir(dir), bustest.MaxStore(64<<20))
			for i := range tasks {
				if _, err := b.PublishTask(t.Context(), "def", fmt.Sprint(i), fmt.Appendf(nil, "task-%02d%200000s", i, "")); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			core, logs := observer.New(zap.ErrorLevel)
			b, err := bus.Open(t.Context(), bus.Config{Embedded: &bus.Embedded{StoreDir: dir, MaxStore: 64 << 20}},
				bus.Options{Logger: zap.New(core)})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			damageTask(t, dir, rot.task, rot.at)
			mustPublish(t, b, "late...")
			if got := consumed(t, b); len(got) < rot.least+1 {
				t.Errorf("got %d tasks, want %d: %v", len(got), rot.least+1, got)
			}
			if logs.FilterMessageSnippet("skipped").Len() == 0 {
				t.Error("nobody was told")
			}
		})
	}
}

// damageTask changes a byte of the record of a task in the oldest block.
func damageTask(t *testing.T, dir string, n, at int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "PULLPRINT_TASKS", "msgs", "*.blk"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	slices.Sort(files)
	block, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	const header = 22
	start := bytes.Index(block, fmt.Appendf(nil, "task-%02d", n))
	start = bytes.LastIndex(block[:start], []byte("pullprint.tasks.")) - header
	block[start+at] ^= 4
	if err := os.WriteFile(files[0], block, 0o600); err != nil {
		t.Fatal(err)
	}
}

// consumed consumes until a task that is called late came. One of them comes again and
// again.
func consumed(t *testing.T, b *bus.Bus) map[string]bool {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 90*time.Second)
	defer stop()
	var mu sync.Mutex
	got := map[string]bool{}
	err := b.Consume(ctx, 2, func(_ context.Context, d store.Delivery) store.Disposition {
		mu.Lock()
		defer mu.Unlock()
		id := string(d.Body[:7])
		got[id] = true
		switch id {
		case "late...":
			stop()
		case "task-01":
			return store.Retry(2 * time.Second)
		}
		return store.Done()
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	return got
}
