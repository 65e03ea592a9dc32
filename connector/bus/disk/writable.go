package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// What access(2) is asked for (POSIX).
const (
	mayRead  = 4
	mayWrite = 2
	mayEnter = 1
)

// maxLooked bounds how many files of a store are looked at: a store has a few dozen
// folders, and files of up to 8 MiB in them.
const maxLooked = 100_000

// Usable reports what keeps the current user from working with an embedded store: a
// folder or a file that it can't read or write, or another process that has the store.
// It changes nothing. That there is no store yet is no error, if one can be made.
func Usable(dir, markFile string) error {
	if err := usableTree(dir); err != nil {
		return fmt.Errorf("nats.embedded.store_dir: %w", err)
	}
	if err := Creatable(markFile); err != nil {
		return fmt.Errorf("the mark beside the store (nats.embedded.mark_file): %w", err)
	}
	f, err := os.Open(filepath.Join(dir, lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("nats.embedded.store_dir: %w", err)
	}
	defer f.Close() // and with it the lock
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%w: %s is held by %s", ErrLocked, dir, lockHolder(f))
	}
	return nil
}

// usableTree looks at a folder with all that is in it, or, when there is none, at where
// it would be made.
func usableTree(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return Creatable(dir)
	}
	target, err := filepath.EvalSymlinks(dir) // a walk would not follow a link, and a daemon does
	if err != nil {
		return err
	}
	looked := 0
	return filepath.WalkDir(target, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // a daemon removed it meanwhile
		case err != nil:
			return err
		case looked >= maxLooked:
			return fs.SkipAll
		}
		looked++
		mode := uint32(mayRead | mayWrite)
		if d.IsDir() {
			mode |= mayEnter
		}
		if err := access(path, mode); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// Creatable reports what keeps the current user from making or replacing a file: the
// nearest folder above it that exists can't be written.
func Creatable(path string) error {
	for dir := filepath.Dir(filepath.Clean(path)); ; dir = filepath.Dir(dir) {
		st, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir):
			continue
		case err != nil:
			return err
		case !st.IsDir():
			return &fs.PathError{Op: "write", Path: dir, Err: syscall.ENOTDIR}
		}
		return access(dir, mayWrite|mayEnter)
	}
}

func access(path string, mode uint32) error {
	if err := syscall.Access(path, mode); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}
