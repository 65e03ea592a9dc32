package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrLocked: another process has the store directory.
var ErrLocked = errors.New("store directory is in use")

// lockName is the file in the store directory that is locked.
const lockName = "pullprint.lock"

// Lock makes the directory if need be and takes its lock, which holds for
// as long as the file is open. It doesn't wait.
func Lock(dir string) (*StoreLock, error) {
	if err := makeStore(dir); err != nil {
		return nil, fmt.Errorf("make nats.embedded.store_dir: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("nats.embedded.store_dir has to be writable by user id %d: %w", os.Getuid(), err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		defer f.Close()
		return nil, fmt.Errorf("%w: %s is held by %s; stop that process first, or give this one a nats.embedded.store_dir "+
			"of its own",
			ErrLocked, dir, lockHolder(f))
	case err != nil:
		defer f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	text := fmt.Sprintf("%d %s\n", os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	if err := errors.Join(f.Truncate(0), writeAt(f, text)); err != nil {
		defer f.Close()
		return nil, fmt.Errorf("nats.embedded.store_dir has to be writable: %w", err)
	}
	return &StoreLock{f, dir}, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

func lockHolder(f *os.File) string {
	text, _ := io.ReadAll(io.NewSectionReader(f, 0, 256))
	fields := strings.Fields(string(text))
	if len(fields) != 2 {
		return "another process"
	}
	if _, err := strconv.Atoi(fields[0]); err != nil {
		return "another process"
	}
	return "process " + fields[0] + " (since " + fields[1] + ")"
}
