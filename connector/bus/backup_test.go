package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap/zaptest"

	"pullprint/connector/bus"
	"pullprint/connector/bus/backup"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/disk"
	"pullprint/connector/store"
	"pullprint/trigger/racetest"
)

// backedUp is a live store's backup.
func backedUp(t *testing.T, b *bus.Bus) []byte {
	t.Helper()
	var file bytes.Buffer
	if _, err := b.Backup(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func restored(t *testing.T, cfg bus.Config, file []byte, replace bool) backup.Contents {
	t.Helper()
	r, err := bus.Restore(t.Context(), cfg, bytes.NewReader(file), int64(len(file)), bus.RestoreOptions{Replace: replace})
	if err != nil {
		t.Fatal(err)
	}
	return r.Contents
}

// What is restored is what was there: values and revisions, keys that were deleted,
// messages with their times, ids that were seen, and how far the tasks are done.
func TestBackupAndRestore(t *testing.T) {
	b := bustest.Open(t)
	stock(t, b, 0, 40)
	kv := b.State()
	r := mustSet(t, kv, "gone", "1", 0, 0)
	if ok, err := kv.Delete(t.Context(), "gone", r); !ok || err != nil {
		t.Fatal(ok, err)
	}
	r = mustSet(t, kv, "often", "1", 0, 0)
	for i := range 5 {
		r = mustSet(t, kv, "often", fmt.Sprint(i), r, time.Hour)
	}
	done := 0
	ctx, stop := context.WithCancel(t.Context())
	_ = b.Consume(ctx, 1, func(context.Context, store.Delivery) store.Disposition {
		if done++; done == 30 {
			stop()
		}
		return store.Done()
	})
	stored := storedAt(t, b)
	file := backedUp(t, b)

	dir := filepath.Join(bustest.TempDir(t), "nats")
	c := restored(t, config(dir), file, false)
	v, err := backup.Verify(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range c.Streams {
		if s != v.Streams[i] {
			t.Errorf("restored %+v, and the backup has %+v", s, v.Streams[i])
		}
	}
	if n := c.Streams[1].Messages; n != 40 {
		t.Errorf("%d decisions", n)
	}
	again := bustest.Open(t, bustest.Dir(dir))
	if value, rev, err := again.State().Get(t.Context(), "often"); string(value) != "4" || rev != r || err != nil {
		t.Errorf("%s %d %v, want revision %d", value, rev, err, r)
	}
	if _, rev, err := again.State().Get(t.Context(), "gone"); rev != 0 || err != nil {
		t.Error("a deleted key came back", rev, err)
	}
	if at := storedAt(t, again); !at.Equal(stored) {
		t.Errorf("stored at %s, was %s", at, stored)
	}
	if dup, err := again.PublishTask(t.Context(), "definition", "id-7", []byte("x")); !dup || err != nil {
		t.Error("a task that was seen is new", dup, err)
	}
	pending, ackPending, err := again.Lag(t.Context())
	if err != nil || pending+ackPending > 12 || pending+ackPending < 9 {
		t.Errorf("%d and %d tasks to do, want about 10: %v", pending, ackPending, err)
	}
	_, swapped, err := again.Jobs().CompareAndSet(t.Context(), "owner.printer.3", []byte("new"), 4, 0)
	if !swapped || err != nil {
		t.Error("a revision of before does not count", err)
	}
}

func storedAt(t *testing.T, b *bus.Bus) (last time.Time) {
	t.Helper()
	if err := b.Decisions(t.Context(), time.Time{}, false, func(at time.Time, _ []byte) error { last = at; return nil }); err != nil {
		t.Fatal(err)
	}
	return last
}

// A backup that was made while everything was being written is one moment of it:
// of two records that are always written one after the other, the second never
// without the first, in any order of streams; and no key is ever missing.
func TestBackupIsOneMoment(t *testing.T) {
	b := bustest.Open(t)
	const keys = 8
	revisions := map[string]uint64{}
	for i := range keys {
		revisions[fmt.Sprint("k", i)] = mustSet(t, b.Jobs(), fmt.Sprint("k", i), "0", 0, 0)
	}
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	for i := range keys {
		key := fmt.Sprint("k", i)
		writing.Go(func() {
			rev, other := revisions[key], uint64(0)
			for n := 1; ctx.Err() == nil; n++ {
				// Intent before reservation would be wrong: the account is first.
				var err error
				if other, _, err = b.Quota().CompareAndSet(t.Context(), key, []byte(fmt.Sprint(n)), other, 0); err != nil {
					t.Error(err)
				}
				if rev, _, err = b.Jobs().CompareAndSet(t.Context(), key, []byte(fmt.Sprint(n)), rev, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var files [][]byte
	for range 4 {
		var file bytes.Buffer
		held, err := b.Backup(t.Context(), &file)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d bytes, writes held back for %s", file.Len(), held)
		files = append(files, file.Bytes())
	}
	stop()
	writing.Wait()
	for i, file := range files {
		dir := filepath.Join(bustest.TempDir(t), fmt.Sprint(i))
		restored(t, config(dir), file, false)
		again := bustest.Open(t, bustest.Dir(dir))
		for k := range keys {
			key := fmt.Sprint("k", k)
			job, _, err1 := again.Jobs().Get(t.Context(), key)
			account, _, err2 := again.Quota().Get(t.Context(), key)
			var j, a int
			if _, err := fmt.Sscan(string(job)+" "+string(account), &j, &a); err != nil || err1 != nil || err2 != nil {
				t.Fatalf("%s: %q %q %v %v", key, job, account, err1, err2)
			}
			if a != j && a != j+1 {
				t.Errorf("backup %d, %s: the account is at %d and the job at %d", i, key, a, j)
			}
		}
	}
}

// A damaged file, one that was cut off and one of another kind touch nothing.
func TestBackupThatIsNone(t *testing.T) {
	b := bustest.Open(t)
	stock(t, b, 0, 5)
	file := backedUp(t, b)
	for what, bad := range map[string][]byte{
		"cut off":   file[:len(file)-100],
		"flipped":   append(append(bytes.Clone(file[:len(file)/2]), file[len(file)/2]^1), file[len(file)/2+1:]...),
		"changed":   bytes.Replace(file, []byte(`{"job":3}`), []byte(`{"job":4}`), 1),
		"longer":    append(bytes.Clone(file), 'x'),
		"no backup": []byte("hello"),
		"empty":     nil,
		"newer":     append([]byte("pullprint backup 2\n"), file[19:]...),
	} {
		dir := filepath.Join(bustest.TempDir(t), "nats")
		_, err := bus.Restore(t.Context(), config(dir), bytes.NewReader(bad), int64(len(bad)), bus.RestoreOptions{})
		if !errors.Is(err, backup.ErrUnusable) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: the store was touched", what)
		}
	}
}

// A store that is used, or that holds something, is not replaced; one that is
// replaced is kept.
func TestRestoreRefuses(t *testing.T) {
	dir := filepath.Join(bustest.TempDir(t), "nats")
	b, err := bus.Open(t.Context(), config(dir), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stock(t, b, 0, 5)
	file := backedUp(t, b)
	stock(t, b, 5, 5)
	try := func(replace bool) (string, error) {
		r, err := bus.Restore(t.Context(), config(dir), bytes.NewReader(file), int64(len(file)),
			bus.RestoreOptions{Replace: replace})
		return r.Replaced, err
	}
	if _, err := try(true); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("in use: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := try(false); !errors.Is(err, bus.ErrNotEmpty) || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("not empty: %v", err)
	}
	replaced, err := try(true)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := filepath.Glob(filepath.Join(replaced, "*", "streams", "*")); len(found) < 9 {
		t.Errorf("kept in %s: %v %v", replaced, found, err)
	}
	// The store is older than the mark that was beside it: the mark went with it.
	if b, err = bus.Open(t.Context(), config(dir), bus.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, rev, err := b.Jobs().Get(t.Context(), "owner.printer.7"); rev != 0 || err != nil {
		t.Error("what came after the backup is still there", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// From embedded to an external server and back: everything is the same, and the
// second run of a migration that was interrupted goes on.
func TestMigrate(t *testing.T) {
	dir := filepath.Join(bustest.TempDir(t), "nats")
	b, err := bus.Open(t.Context(), config(dir), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stock(t, b, 0, 30)
	external := bus.Config{URL: bustest.External(t)}
	move := func(from, to bus.Config) (backup.Contents, error) {
		return bus.Migrate(t.Context(), from, to, bus.RestoreOptions{Options: bus.Options{Logger: zaptest.NewLogger(t)}})
	}
	if _, err := move(config(dir), external); !errors.Is(err, disk.ErrLocked) {
		t.Fatalf("while the source is in use: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	there, err := move(config(dir), external)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := move(config(dir), external); !errors.Is(err, bus.ErrNotEmpty) {
		t.Errorf("onto what is there: %v", err)
	}
	other, err := bus.Open(t.Context(), external, bus.Options{Instance: "daemon"})
	if err != nil {
		t.Fatal(err)
	}
	back := config(filepath.Join(bustest.TempDir(t), "back"))
	if err := other.Canary(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := move(external, back); !errors.Is(err, bus.ErrInUse) {
		t.Errorf("while a daemon works with it: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	here, err := move(external, back)
	if err != nil {
		t.Fatal(err)
	}
	for i := range there.Streams {
		if a, b := there.Streams[i], here.Streams[i]; a.Messages != b.Messages && a.Name != "KV_pullprint_state" || a.SHA256 != b.SHA256 &&
			a.Name != "KV_pullprint_state" {
			t.Errorf("there %+v, back %+v", a, b)
		}
	}
	again := bustest.Open(t, bustest.Dir(back.Embedded.StoreDir))
	if v, _, err := again.Jobs().Get(t.Context(), "owner.printer.29"); string(v) != `{"job":29}` || err != nil {
		t.Error(string(v), err)
	}
}

// A backup of an external server is one moment too, while a daemon in another process writes
// without a pause, and so is one that a daemon makes of what it shares with it.
func TestBackupOfExternalInUse(t *testing.T) {
	cfg := bus.Config{URL: bustest.External(t)}
	open := func(instance string) *bus.Bus {
		b, err := bus.Open(t.Context(), cfg, bus.Options{Instance: instance})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		return b
	}
	daemon, another := open("daemon"), open("another")
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		var job, account uint64
		for n := 0; ctx.Err() == nil; n++ {
			var err1, err2 error
			account, _, err1 = daemon.Quota().CompareAndSet(t.Context(), "k", []byte(fmt.Sprint(n)), account, 0)
			job, _, err2 = daemon.Jobs().CompareAndSet(t.Context(), "k", []byte(fmt.Sprint(n)), job, 0)
			if err := errors.Join(err1, err2); err != nil {
				t.Error(err)
			}
		}
	})
	defer writing.Wait()
	defer stop()
	dir := bustest.TempDir(t)
	for i := range 3 {
		var file bytes.Buffer
		err := bus.Backup(t.Context(), cfg, bus.Options{}, &file)
		if i > 0 {
			file.Reset()
			_, err = another.Backup(t.Context(), &file)
		}
		if err != nil {
			t.Fatal(err)
		}
		to := config(filepath.Join(dir, fmt.Sprint(i)))
		restored(t, to, file.Bytes(), false)
		b := bustest.Open(t, bustest.Dir(to.Embedded.StoreDir))
		job, _, err1 := b.Jobs().Get(t.Context(), "k")
		account, _, err2 := b.Quota().Get(t.Context(), "k")
		var j, a int
		if _, err := fmt.Sscan(string(job)+" "+string(account), &j, &a); err != nil || err1 != nil || err2 != nil {
			t.Fatalf("%q %q %v %v", job, account, err1, err2)
		}
		if a != j && a != j+1 {
			t.Errorf("backup %d: the account is at %d and the job at %d", i, a, j)
		}
	}
}

// Whoever asks a daemon to hold its writes back and is never heard of again costs them no more
// than a delay, and a daemon that ends meanwhile does not wait for it.
func TestWritesHeldForNobody(t *testing.T) {
	cfg := bus.Config{URL: bustest.External(t)}
	b, err := bus.Open(t.Context(), cfg, bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(cfg.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ask := func() {
		t.Helper()
		if answer, err := nc.Request("_INBOX.pullprint.hold", nil, 10*time.Second); err != nil || answer.Reply == "" {
			t.Fatalf("%+v %v", answer, err)
		}
	}
	ask()
	began := time.Now()
	if _, _, err := b.Jobs().CompareAndSet(t.Context(), "k", []byte("1"), 0, 0); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("written after %s: it was not held back", took)
	}
	ask()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// No daemon works with streams that were restored by half; the restore goes on when
// it is run again, also on what belongs to no restore only if it may.
func TestHalfRestored(t *testing.T) {
	racetest.Skip(t, "one restore after the other")
	src := bustest.Open(t)
	stock(t, src, 0, 10)
	file := backedUp(t, src)
	cfg := bus.Config{URL: bustest.External(t)}
	restored(t, cfg, file, false)
	b, err := bus.Open(t.Context(), cfg, bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	js := b.JetStream()
	for _, name := range []string{"PULLPRINT_AUDIT", "KV_pullprint_jobs"} {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		half := s.CachedInfo().Config
		half.Metadata = map[string]string{"pullprint.restoring": "then"}
		if _, err := js.UpdateStream(t.Context(), half); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{
		"PULLPRINT_TASKS", "PULLPRINT_DECISIONS", "PULLPRINT_LEDGER", "PULLPRINT_DEAD", "PULLPRINT_NOTICES",
		"KV_pullprint_badges", "KV_pullprint_quota",
		"KV_pullprint_state",
	} {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(i, err)
		}
	}
	_ = b.Close()
	if _, err := bus.Open(t.Context(), cfg, bus.Options{}); !errors.Is(err, bus.ErrHalfRestored) ||
		!strings.Contains(err.Error(), "KV_pullprint_jobs") && !strings.Contains(err.Error(), "PULLPRINT_AUDIT") {
		t.Errorf("%v", err)
	}
	restored(t, cfg, file, false)
	if b, err = bus.Open(t.Context(), cfg, bus.Options{}); err != nil {
		t.Fatal(err)
	}
	if v, _, err := b.Jobs().Get(t.Context(), "owner.printer.9"); string(v) != `{"job":9}` || err != nil {
		t.Error(string(v), err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// A restored stream that lacks a message, or has another, is not taken for whole.
func TestRestoreIsCompared(t *testing.T) {
	b := bustest.Open(t)
	stock(t, b, 0, 5)
	file := backedUp(t, b)
	if err := bus.Compare(t.Context(), b, file); err != nil {
		t.Fatal(err)
	}
	s, err := b.JetStream().Stream(t.Context(), "PULLPRINT_LEDGER")
	if err == nil {
		err = s.DeleteMsg(t.Context(), 2)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Compare(t.Context(), b, file); err == nil ||
		!strings.Contains(err.Error(), "PULLPRINT_LEDGER does not have what the backup has: message 2 is missing") {
		t.Errorf("%v", err)
	}
	stock(t, b, 5, 1)
	if err := bus.Compare(t.Context(), b, file); err == nil || !strings.Contains(err.Error(), "message 6 is not in it") {
		t.Errorf("%v", err)
	}
}
