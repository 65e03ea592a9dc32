package bus_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
)

// damageValue flips a bit in the newest record of a bucket that has text in it.
func damageValue(t *testing.T, dir, bucket, text string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "KV_pullprint_"+bucket, "msgs", "*.blk"))
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
	dir := filepath.Join(t.TempDir(), "nats")
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

	if value, _, err := b.Quota().Get(t.Context(), "k.05"); !errors.Is(err, bus.ErrDamaged) {
		t.Errorf("a damaged account reads as %.20q, %v", value, err)
	}
	if value, revision, err := b.Quota().Get(t.Context(), "k.99"); value != nil || revision != 0 || err != nil {
		t.Errorf("an account that is not there reads as %.20q, %v", value, err)
	}
	n := 0
	if err := b.Quota().Each(t.Context(), "k.>", func(string, []byte, uint64) error { n++; return nil }); !errors.Is(err, bus.ErrDamaged) {
		t.Errorf("%d accounts are taken for all: %v", n, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	if err := b.Jobs().Watch(ctx, ">", func(string, []byte, uint64) {}, nil); !errors.Is(err, bus.ErrDamaged) || !strings.Contains(err.Error(), "pullprint_jobs") {
		t.Errorf("watching the jobs: %v", err)
	}
	if _, err := b.Backup(ctx, io.Discard); !errors.Is(err, bus.ErrDamaged) {
		t.Errorf("backup: %v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("readers took %s to give up", took)
	}
}

// What was accepted as lost is taken out, all that can be read stays, and the store
// is whole again.
func TestAcceptDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nats")
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
	if !errors.Is(err, bus.ErrDamaged) || !strings.Contains(err.Error(), "KV_pullprint_badges") || !strings.Contains(err.Error(), "pullprint restore") {
		t.Fatal("opened a damaged store:", err)
	}
	if err := bus.Backup(t.Context(), config(dir), bus.Options{}, io.Discard); !errors.Is(err, bus.ErrDamaged) {
		t.Error("backup of a damaged store:", err)
	}
	lost, err := bus.AcceptLoss(t.Context(), config(dir), bus.Options{}, "ada", func([]bus.Loss) error { return nil })
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
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t, bustest.Dir(filepath.Join(t.TempDir(), "nats")))
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
