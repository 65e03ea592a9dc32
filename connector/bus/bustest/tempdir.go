package bustest

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// memoryDir is a file system in memory on Linux; memoryFree is how much of it has to be
// free for tests to use it: several times what the stores of tests that run at once take.
const (
	memoryDir  = "/dev/shm"
	memoryFree = 2 << 30
)

// TempDir is a directory that is removed when the test ends, for the store of a bus. It is
// in memory where there is room: every write to a store is synced, and waiting for a disk
// takes most of the time of such tests. With TMPDIR set it is there.
func TempDir(tb testing.TB) string {
	tb.Helper()
	var fs syscall.Statfs_t
	if os.Getenv("TMPDIR") != "" || syscall.Statfs(memoryDir, &fs) != nil ||
		fs.Bavail*uint64(fs.Bsize) < memoryFree {
		return tb.TempDir()
	}
	dir, err := os.MkdirTemp(memoryDir, "pullprint-test-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Errorf("remove the store: %v", err)
		}
	})
	// A store has its mark beside it, which goes with it.
	store := filepath.Join(dir, "store")
	if err := os.Mkdir(store, 0o700); err != nil {
		tb.Fatal(err)
	}
	return store
}
