package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// A demo keeps everything in a folder of its own, and holds the lock of a file in it until
// its end. One that was killed holds none: the next removes what it left.
const (
	demoPrefix = "pullprint-demo-"
	demoLock   = "demo.lock"
)

// demoFolder makes the folder of a demo, and removes those of demos that run no more. The
// folder is removed by end.
func demoFolder() (dir string, end func() error, err error) {
	removeLeftovers(os.TempDir())
	dir, err = os.MkdirTemp("", demoPrefix)
	if err != nil {
		return "", nil, fmt.Errorf("make a folder for the demo: %w; TMPDIR names another place", err)
	}
	// It gets its name when it is locked: another demo never sees it unlocked.
	lock, err := os.OpenFile(filepath.Join(dir, demoLock+".new"), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = errors.Join(flock(lock), os.Rename(lock.Name(), filepath.Join(dir, demoLock)))
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("lock the folder of the demo: %w", err), os.RemoveAll(dir))
	}
	return dir, func() error { return errors.Join(os.RemoveAll(dir), lock.Close()) }, nil
}

func flock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// removeLeftovers removes the folders of this user's demos that ended without doing it.
func removeLeftovers(in string) {
	list, err := filepath.Glob(filepath.Join(in, demoPrefix+"*"))
	if err != nil {
		return // the pattern is that of a folder with a bracket in its name
	}
	for _, dir := range list {
		if st, err := os.Lstat(dir); err != nil || !st.IsDir() || !mine(st) {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(dir, demoLock), os.O_RDWR|syscall.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		if flock(lock) == nil {
			_ = os.RemoveAll(dir) // the next demo tries again
		}
		_ = lock.Close()
	}
}

// mine reports whether a file is this user's.
func mine(st os.FileInfo) bool {
	s, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Getuid()
}

// errOutputClosed says that whoever read the output is gone.
var errOutputClosed = errors.New("nobody reads the output any more: the demo has ended, and its folder is removed")

// untilClosed ends a context with errOutputClosed when what is written to out, as to a pipe, is read
// by nobody any more; and with a hang-up. Without it each ends the process at once, which
// leaves its folder behind.
func untilClosed(ctx context.Context, out io.Writer) (context.Context, io.Writer, func()) {
	ctx, hungUp := signal.NotifyContext(ctx, syscall.SIGHUP)
	ctx, cancel := context.WithCancelCause(ctx)
	// Connections cause the signal as well: it is the write that says which it was.
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGPIPE)
	return ctx, writerUntil{out, cancel}, func() {
		cancel(nil)
		hungUp()
		signal.Stop(ignored)
	}
}

// writerUntil ends a context when it writes to a pipe that nobody reads.
type writerUntil struct {
	io.Writer
	end context.CancelCauseFunc
}

func (w writerUntil) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		w.end(errOutputClosed)
	}
	return n, err
}
