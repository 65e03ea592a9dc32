// Package bustest opens real buses for tests: an embedded server on a
// temporary directory, also in virtual time.
package bustest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"

	"pullprint/connector/bus"
	"pullprint/connector/store"
)

// Option changes how a bus is opened.
type Option func(*setup)

// With sets logger, registerer and instance.
func With(o bus.Options) Option { return func(s *setup) { s.options = o } }

// MaxStore sets the size of the store; it is 1 GiB otherwise.
func MaxStore(size store.Size) Option { return func(s *setup) { s.maxStore = size } }

// Dir opens the bus on a directory of the caller's.
func Dir(dir string) Option { return func(s *setup) { s.dir = dir } }

type setup struct {
	dir      string
	maxStore store.Size
	options  bus.Options
}

var opened sync.Map // *bus.Bus -> setup: what Reopen needs to know

// Open opens an embedded bus that is closed when the test ends.
func Open(tb testing.TB, opts ...Option) *bus.Bus {
	tb.Helper()
	s := setup{maxStore: 1 << 30}
	for _, o := range opts {
		o(&s)
	}
	if s.dir == "" {
		s.dir = TempDir(tb)
	}
	return s.open(tb)
}

func (s setup) open(tb testing.TB) *bus.Bus {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b, err := bus.Open(ctx, bus.Config{Embedded: &bus.Embedded{StoreDir: s.dir, MaxStore: s.maxStore}}, s.options)
	if err != nil {
		tb.Fatalf("open bus: %v", err)
	}
	opened.Store(b, s)
	tb.Cleanup(func() {
		opened.Delete(b)
		if err := b.Close(); err != nil {
			tb.Errorf("close bus: %v", err)
		}
	})
	return b
}

// Reopen opens another bus on what b has stored, after closing b if it is
// still open. After Kill it finds what a killed process would have left.
func Reopen(tb testing.TB, b *bus.Bus) *bus.Bus {
	tb.Helper()
	s := mustSetup(tb, b)
	if err := b.Close(); err != nil {
		tb.Fatalf("close bus: %v", err)
	}
	return s.open(tb)
}

// Backup is a backup of b.
func Backup(tb testing.TB, b *bus.Bus) []byte {
	tb.Helper()
	var file bytes.Buffer
	if _, err := b.Backup(context.Background(), &file); err != nil {
		tb.Fatalf("back up: %v", err)
	}
	return file.Bytes()
}

// Restore closes b, restores a backup in its place, and opens that.
func Restore(tb testing.TB, b *bus.Bus, file []byte) *bus.Bus {
	tb.Helper()
	s := mustSetup(tb, b)
	if err := b.Close(); err != nil {
		tb.Fatalf("close bus: %v", err)
	}
	cfg := bus.Config{Embedded: &bus.Embedded{StoreDir: s.dir, MaxStore: s.maxStore}}
	_, err := bus.Restore(context.Background(), cfg, bytes.NewReader(file), int64(len(file)), bus.RestoreOptions{Replace: true})
	if err != nil {
		tb.Fatalf("restore: %v", err)
	}
	return s.open(tb)
}

// Kill ends b as kill -9 would: nothing is flushed, acknowledgements on their
// way are lost. Reopen goes on from there.
func Kill(tb testing.TB, b *bus.Bus) {
	tb.Helper()
	s := mustSetup(tb, b)
	from, to := s.dir, TempDir(tb)
	s.dir = to
	if err := b.Crash(func() error { return errors.Join(copyDir(to, from), copyMark(to, from)) }); err != nil {
		tb.Fatalf("kill bus: %v", err)
	}
	opened.Store(b, s)
}

// KillIn is Kill for a bus that another opened on a folder: what a killed process would
// have left stands there then.
func KillIn(tb testing.TB, b *bus.Bus, dir string) {
	tb.Helper()
	to := filepath.Join(TempDir(tb), "left")
	err := b.Crash(func() error { return errors.Join(copyDir(to, dir), copyMark(to, dir)) })
	if err == nil {
		err = errors.Join(os.RemoveAll(dir), os.Rename(to, dir), os.Rename(to+".mark", dir+".mark"))
	}
	if err != nil {
		tb.Fatalf("kill bus: %v", err)
	}
}

// copyDir copies what is there. Files that come and go meanwhile, like those of
// batches being staged, are copied as far as they are still there.
func copyDir(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			var rel string
			if rel, err = filepath.Rel(from, path); err == nil {
				err = copyEntry(filepath.Join(to, rel), path, d)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// copyMark copies the mark beside a store: it is written all the time, so what is
// on disk at this moment is what a killed process leaves.
func copyMark(to, from string) error {
	data, err := os.ReadFile(from + ".mark")
	if err != nil {
		return err
	}
	return os.WriteFile(to+".mark", data, 0o600)
}

func copyEntry(to, from string, d fs.DirEntry) error {
	if d.IsDir() {
		return os.MkdirAll(to, 0o700)
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

func mustSetup(tb testing.TB, b *bus.Bus) setup {
	tb.Helper()
	s, ok := opened.Load(b)
	if !ok {
		tb.Fatal(fmt.Errorf("bus was not opened by bustest, or its test has ended"))
	}
	return s.(setup)
}

// Virtual runs fn in a synctest bubble in which an embedded bus works: hours
// of waiting take no time. Open the bus inside.
func Virtual(t *testing.T, fn func(t *testing.T)) {
	t.Helper()
	// The server's clock service must be running before the bubble, or its
	// goroutine would be born inside it and never end.
	ats.Register()
	defer ats.Unregister()
	synctest.Test(t, fn)
}
