package bus_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/store"
	"pullprint/trigger/racetest"
)

// What is kept of the deliveries of tasks can be made again: when its file is damaged, the
// start says which folder to remove, and with that the store opens and has all tasks.
func TestDamagedConsumer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(bustest.TempDir(t), "nats")
	b := bustest.Open(t, bustest.Dir(dir))
	furnish(t, b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "PULLPRINT_TASKS", "obs", "*", "o.dat"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(files[0], []byte("damaged, and longer than what it should hold"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = bus.Open(t.Context(), config(dir), bus.Options{})
	if err == nil {
		t.Fatal("the damage is not told")
	}
	if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), filepath.Dir(files[0])) ||
		!strings.Contains(err.Error(), "nothing prints twice") {
		t.Error(err)
	}
	if err := os.RemoveAll(filepath.Dir(files[0])); err != nil {
		t.Fatal(err)
	}
	if b, err = bus.Open(t.Context(), config(dir), bus.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// What is kept of the deliveries of tasks has no checksum. A bit that flips in it is told at the start, as
// above, or the store opens with all that was stored: tasks are delivered again, which changes nothing, or
// some are skipped, and those the sweep finds, as Graph lists them.
func TestFlippedConsumer(t *testing.T) {
	racetest.Skip(t, "one damaged file after the other")
	t.Parallel()
	origin := filepath.Join(bustest.TempDir(t), "nats")
	b := bustest.Open(t, bustest.Dir(origin))
	furnish(t, b)
	tasks, _, err := b.Lag(t.Context())
	if err == nil {
		err = b.Close()
	}
	files, globErr := filepath.Glob(filepath.Join(origin, "jetstream", "*", "streams", "PULLPRINT_TASKS", "obs", "*", "o.dat"))
	if err != nil || globErr != nil || len(files) != 1 {
		t.Fatal(err, globErr, files)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := range text {
		dir := filepath.Join(bustest.TempDir(t), "nats")
		copyWithMark(t, dir, origin)
		flipped := slices.Clone(text)
		flipped[at] ^= 1 << (at % 8)
		file := filepath.Join(dir, strings.TrimPrefix(files[0], origin))
		if err := os.WriteFile(file, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := bus.Open(t.Context(), config(dir), bus.Options{})
		if err != nil {
			if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), filepath.Dir(file)) {
				t.Errorf("byte %d: %v", at, err)
			}
			continue
		}
		if pending, unacked, err := b.Lag(t.Context()); err != nil || pending+unacked > tasks {
			t.Errorf("byte %d: %d tasks of %d, %v", at, pending+unacked, tasks, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
