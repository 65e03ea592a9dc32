package bus_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/bus/disk"
	"pullprint/connector/bus/stored"
	"pullprint/connector/store"
	"pullprint/trigger/racetest"
)

// stock stores n decisions, job records and ledger entries.
func stock(t *testing.T, b *bus.Bus, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		key := fmt.Sprintf("owner.printer.%d", i)
		_, ok, err := b.Jobs().CompareAndSet(t.Context(), key, []byte(`{"job":`+fmt.Sprint(i)+`}`), 0, 0)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		id := fmt.Sprint("id-", i)
		err = errors.Join(
			b.PublishDecision(t.Context(), "hold", id, []byte(`{"decision":`+fmt.Sprint(i)+`}`)),
			b.PublishLedger(t.Context(), "owner", id, []byte(`{"entry":`+fmt.Sprint(i)+`}`)),
		)
		if err == nil {
			_, err = b.PublishTask(t.Context(), "definition", id, []byte(`{"task":`+fmt.Sprint(i)+`}`))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func copyStore(t *testing.T, to, from string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
}

func config(dir string) bus.Config {
	return bus.Config{Embedded: &bus.Embedded{StoreDir: dir, MaxStore: 1 << 30}}
}

// What a start would refuse is told without one, and what it takes is not.
func TestWhole(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		dir := filepath.Join(bustest.TempDir(t), "nats")
		embedded := config(dir).Embedded
		if err := embedded.Whole(); err != nil {
			t.Errorf("there is no store yet: %v", err)
		}
		b, err := bus.Open(t.Context(), config(dir), bus.Options{})
		if err != nil {
			t.Fatal(err)
		}
		stock(t, b, 0, 5)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * 24 * time.Hour) // tasks are kept for 7; with a server in it, each hour takes time
		if b, err = bus.Open(t.Context(), config(dir), bus.Options{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		mustLag(t, b, 0, 0)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		copyStore(t, dir+".good", dir)
		if err := embedded.Whole(); err != nil {
			t.Errorf("tasks that were too old are gone: %v", err)
		}
		for _, stream := range []string{"PULLPRINT_TASKS", "PULLPRINT_DECISIONS", "KV_pullprint_jobs"} {
			parts, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", stream))
			if err != nil || len(parts) != 1 {
				t.Fatal(parts, err)
			}
			if err := os.RemoveAll(parts[0]); err != nil {
				t.Fatal(err)
			}
			if err := embedded.Whole(); !errors.Is(err, disk.ErrLost) || !strings.Contains(err.Error(), stream+" ends at 0") {
				t.Errorf("without %s: %v", stream, err)
			}
			if b, err := bus.Open(t.Context(), config(dir), bus.Options{}); !errors.Is(err, disk.ErrLost) {
				t.Errorf("a start without %s: %v %v", stream, b, err)
			}
			if err := embedded.Whole(); !errors.Is(err, disk.ErrLost) {
				t.Errorf("after a start without %s: %v", stream, err)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			copyStore(t, dir, dir+".good")
		}
		if err := embedded.Whole(); err != nil {
			t.Error(err)
		}
	})
}

// A store folder that was rolled back or deleted is not started on; the error names
// what is missing and how to go on, and accepting the loss is recorded.
func TestMark(t *testing.T) {
	dir := filepath.Join(bustest.TempDir(t), "nats")
	b, err := bus.Open(t.Context(), config(dir), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stock(t, b, 0, 5)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	copyStore(t, dir+".old", dir)
	if b, err = bus.Open(t.Context(), config(dir), bus.Options{}); err != nil {
		t.Fatal(err)
	}
	stock(t, b, 5, 7)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	refused := func(what string, words ...string) {
		t.Helper()
		b, err := bus.Open(t.Context(), config(dir), bus.Options{})
		if !errors.Is(err, disk.ErrLost) {
			if err == nil {
				_ = b.Close()
			}
			t.Fatalf("%s: %v, want a refusal", what, err)
		}
		for _, w := range append(words, "pullprint restore FILE", "pullprint accept-loss") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v does not say %q", what, err, w)
			}
		}
	}
	remove := func() {
		t.Helper()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	copyStore(t, dir+".good", dir)
	remove()
	refused("deleted", "PULLPRINT_DECISIONS ends at 0 and had come to 12: 12 missing", "KV_pullprint_jobs")
	remove()
	copyStore(t, dir, dir+".old")
	refused("rolled back", "PULLPRINT_DECISIONS ends at 5 and had come to 12: 7 missing", "PULLPRINT_LEDGER ends at 5",
		"KV_pullprint_jobs ends at 5")
	refused("again", "PULLPRINT_TASKS ends at 5 and had come to 12: 7 missing")

	// Nothing is changed unless it is confirmed.
	no := errors.New("no")
	if _, err := bus.AcceptLoss(t.Context(), config(dir), bus.Options{}, "ada",
		func([]disk.Loss) error { return no }); !errors.Is(err, no) {
		t.Fatal(err)
	}
	refused("not confirmed")
	lost, err := bus.AcceptLoss(t.Context(), config(dir), bus.Options{Instance: "host"}, "ada", func(l []disk.Loss) error {
		if len(l) < 4 {
			t.Errorf("asked about %v", l)
		}
		return nil
	})
	if err != nil || len(lost) < 4 {
		t.Fatal(lost, err)
	}
	if b, err = bus.Open(t.Context(), config(dir), bus.Options{}); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	told := ""
	err = b.Actions(t.Context(), time.Time{}, false, func(_ time.Time, body []byte) error { told += string(body); return nil })
	if err != nil || !strings.Contains(told, `"action":"accept-loss"`) || !strings.Contains(told, `"actor":"ada"`) ||
		!strings.Contains(told, "7 missing") {
		t.Errorf("audit: %s, %v", told, err)
	}
}

// A stream that was made anew, and messages that are gone from the middle, are
// losses too, however far the stream has come.
func TestMarkFindsHolesAndOthers(t *testing.T) {
	dir := filepath.Join(bustest.TempDir(t), "nats")
	b, err := bus.Open(t.Context(), config(dir), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stock(t, b, 0, 5)
	s, err := b.JetStream().Stream(t.Context(), "PULLPRINT_DECISIONS")
	if err == nil {
		err = s.DeleteMsg(t.Context(), 3)
	}
	if err == nil {
		err = b.JetStream().DeleteStream(t.Context(), "PULLPRINT_LEDGER")
	}
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = bus.Open(t.Context(), config(dir), bus.Options{})
	if !errors.Is(err, disk.ErrLost) || !strings.Contains(err.Error(), "PULLPRINT_DECISIONS has holes: 1 missing") ||
		!strings.Contains(err.Error(), "PULLPRINT_LEDGER ends at 0 and had come to 5") {
		t.Errorf("%v", err)
	}
}

// However often a process is killed, and whenever, its store is never refused.
func TestMarkAcceptsKills(t *testing.T) {
	racetest.Skip(t, "one life after the other")
	bustest.Virtual(t, func(t *testing.T) {
		b := bustest.Open(t)
		for i := range 6 {
			stock(t, b, 100*i, 20)
			time.Sleep(time.Duration(i) * 300 * time.Millisecond)
			bustest.Kill(t, b)
			b = bustest.Reopen(t, b)
		}
	})
}

// The mark follows the store within a second, and leases and canaries alone do not
// cost a write of it.
func TestMarkIsWrittenInTime(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		dir := bustest.TempDir(t)
		b := bustest.Open(t, bustest.Dir(dir))
		read := func() string {
			text, err := os.ReadFile(dir + ".mark")
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		time.Sleep(2 * time.Second) // what the opening wrote
		synctest.Wait()
		before := read()
		if err := b.Canary(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if read() != before {
			t.Error("a canary wrote the mark")
		}
		stock(t, b, 0, 3)
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		if now := read(); !strings.Contains(now, `"last": 3`) {
			t.Errorf("a second later the mark is %s", now)
		}
	})
}

// A mark that could not be written is written as soon as it can be, although nothing more
// is stored.
func TestMarkIsWrittenAgain(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		dir := bustest.TempDir(t)
		core, logs := observer.New(zap.ErrorLevel)
		b := bustest.Open(t, bustest.Dir(dir), bustest.With(bus.Options{Logger: zap.New(core)}))
		time.Sleep(2 * time.Second) // what the opening wrote
		inTheWay := dir + ".mark.new"
		if err := os.Mkdir(inTheWay, 0o700); err != nil {
			t.Fatal(err)
		}
		stock(t, b, 0, 3)
		time.Sleep(10 * time.Second)
		if n := logs.FilterMessageSnippet("mark file not written").Len(); n == 0 {
			t.Error("nothing tells that the mark can't be written")
		}
		if err := os.Remove(inTheWay); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		if text, err := os.ReadFile(dir + ".mark"); err != nil || !strings.Contains(string(text), `"last": 3`) {
			t.Errorf("a second after it can be written again the mark is %s %v", text, err)
		}
	})
}

// A newest block without a message, as a power cut leaves one, hides nothing of what stands
// in the block before: of a store with a damage elsewhere, only that is told.
func TestEmptyNewestBlock(t *testing.T) {
	dir := filepath.Join(bustest.TempDir(t), "nats")
	b, err := bus.Open(t.Context(), config(dir), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stock(t, b, 0, 5)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	blocks := func(stream string) []string {
		list, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", stream, "msgs", "*.blk"))
		if err != nil || len(list) == 0 {
			t.Fatal(list, err)
		}
		return list
	}
	for _, file := range blocks("PULLPRINT_DECISIONS") {
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), "2.blk"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := config(dir).Embedded.Whole(); err != nil {
		t.Errorf("nothing is missing: %v", err)
	}
	file := blocks("KV_pullprint_jobs")[0]
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 0xff
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"a start": closing(bus.Open(t.Context(), config(dir), bus.Options{})),
		"doctor":  config(dir).Embedded.Whole(),
	} {
		if !errors.Is(err, disk.ErrLost) && !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "KV_pullprint_jobs") ||
			strings.Contains(err.Error(), "PULLPRINT_DECISIONS") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The server takes from its index how far a stream had come when the file of its messages is
// gone or empty: the start tells the loss, whichever stream it is. A stream whose messages
// were all removed on purpose has lost nothing.
func TestFileOfMessagesIsGone(t *testing.T) {
	racetest.Skip(t, "one start after the other")
	whole := bustest.TempDir(t)
	b, err := bus.Open(t.Context(), config(filepath.Join(whole, "nats")), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stock(t, b, 0, 3)
	for _, kv := range []*stored.KV{b.Badges(), b.Quota(), b.State()} {
		if _, ok, err := kv.CompareAndSet(t.Context(), "a", []byte("{}"), 0, 0); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	if err := errors.Join(b.PublishAudit(t.Context(), "enrol", "a", []byte("{}")), b.PublishDead(t.Context(), "a", []byte("{}")),
		b.PublishNotice(t.Context(), "job.aborted", "a", []byte("{}")), b.Close()); err != nil {
		t.Fatal(err)
	}
	for _, stream := range slices.Sorted(maps.Keys(put)) {
		for how, lose := range map[string]func(string) error{
			"removed": os.Remove, "emptied": func(file string) error { return os.Truncate(file, 0) },
		} {
			t.Run(stream+" "+how, func(t *testing.T) {
				parent := bustest.TempDir(t)
				if err := os.CopyFS(parent, os.DirFS(whole)); err != nil {
					t.Fatal(err)
				}
				dir := filepath.Join(parent, "nats")
				files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", stream, "msgs", "*.blk"))
				if err != nil || len(files) != 1 {
					t.Fatal(files, err)
				}
				if err := lose(files[0]); err != nil {
					t.Fatal(err)
				}
				err = closing(bus.Open(t.Context(), config(dir), bus.Options{}))
				if !errors.Is(err, disk.ErrLost) && !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), stream) {
					t.Errorf("the start says %v", err)
				}
				lost, err := bus.AcceptLoss(t.Context(), config(dir), bus.Options{}, "ada", func([]disk.Loss) error { return nil })
				if err != nil || len(lost) == 0 {
					t.Fatal("the loss is accepted:", lost, err)
				}
				if err := closing(bus.Open(t.Context(), config(dir), bus.Options{})); err != nil {
					t.Error("after the loss was accepted:", err)
				}
			})
		}
	}
	t.Run("on purpose", func(t *testing.T) {
		for last := range 2 {
			dir := filepath.Join(bustest.TempDir(t), "nats")
			b, err := bus.Open(t.Context(), config(dir), bus.Options{})
			if err != nil {
				t.Fatal(err)
			}
			stock(t, b, 0, 3)
			for _, stream := range []string{"PULLPRINT_DECISIONS", "PULLPRINT_LEDGER", "PULLPRINT_TASKS"} {
				s, err := b.JetStream().Stream(t.Context(), stream)
				if err != nil {
					t.Fatal(err)
				}
				if last == 0 {
					err = errors.Join(s.DeleteMsg(t.Context(), 3), s.SecureDeleteMsg(t.Context(), 2))
				} else {
					err = s.Purge(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := config(dir).Embedded.Whole(); err != nil {
					t.Error(err)
				}
				// Holes that nobody announced are told by the mark, as before.
				if err := closing(bus.Open(t.Context(), config(dir), bus.Options{})); err != nil && last == 1 {
					t.Error(err)
				}
			}
		}
	})
}
