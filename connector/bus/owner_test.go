package bus_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/racetest"
)

// nobodysUID is a user who is not root.
const nobodysUID = 65534

// What root makes in a store, as by a backup or a restore by hand, belongs to the owner of its
// folder: the service that goes on with it is not root.
func TestRootHandsTheStoreOver(t *testing.T) {
	racetest.Skip(t, "one restore after the other")
	if os.Geteuid() != 0 {
		t.Skip("only root makes files that another user can't use")
	}
	b := bustest.Open(t)
	stock(t, b, 0, 10)
	file := backedUp(t, b)

	parent := t.TempDir()
	if err := os.Chown(parent, nobodysUID, nobodysUID); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(t.TempDir(), "foreign")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "lib", "nats")
	theirs := func(when string) {
		t.Helper()
		err := filepath.WalkDir(parent, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			s, _ := info.Sys().(*syscall.Stat_t)
			if info.Mode().IsRegular() && s.Nlink > 1 || d.Type() == fs.ModeSymlink {
				return nil
			}
			if s.Uid != nobodysUID || s.Gid != nobodysUID {
				t.Errorf("%s: %s belongs to %d", when, path, s.Uid)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	restored(t, config(dir), file, false)
	theirs("a restore")

	// What the owner has put there and is not theirs stays as it is.
	if err := os.Symlink(foreign, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(foreign, filepath.Join(dir, "second-name")); err != nil {
		t.Fatal(err)
	}
	again, err := bus.Open(t.Context(), config(dir), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stock(t, again, 10, 20)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	theirs("a verb")
	restored(t, config(dir), file, true)
	theirs("a restore in the place of another")
	info, err := os.Stat(foreign)
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := info.Sys().(*syscall.Stat_t); s.Uid != 0 {
		t.Errorf("a file elsewhere belongs to %d now", s.Uid)
	}
}
