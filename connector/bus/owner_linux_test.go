package bus_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
	"pullprint/trigger/racetest"
)

// storeOfStranger names the store that the process of a user namespace opens.
const storeOfStranger = "PULLPRINT_TEST_STORE_OF_STRANGER"

// In a container with a user namespace of its own, the owner of a folder may have no number
// there: root can't give the owner anything, and keeps what it makes.
func TestRootKeepsWhatItCannotHandOver(t *testing.T) {
	racetest.Skip(t, "one start after the other")
	if dir := os.Getenv(storeOfStranger); dir != "" {
		for range 2 {
			if err := closing(bus.Open(t.Context(), config(dir), bus.Options{})); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root has a folder that is another's")
	}
	parent := bustest.TempDir(t)
	dir := filepath.Join(parent, "nats")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{parent, dir} { // in which the stranger there can write
		if err := os.Chown(path, nobodysUID, nobodysUID); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	//nolint:gosec // this test itself
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRootKeepsWhatItCannotHandOver$", "-test.count=1")
	cmd.Env = append(os.Environ(), storeOfStranger+"="+dir)
	one := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: one, GidMappings: one}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Skip("no user namespace can be made here: ", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v:\n%s", err, out.String())
	}
}
