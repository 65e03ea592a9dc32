package bus_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/store"
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
