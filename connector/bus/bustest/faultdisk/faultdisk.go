// Package faultdisk is a disk for tests that fails when it is told to: a file system of our
// own, by FUSE, in front of a temporary directory. It fails as a whole or for some files,
// and knows what a power cut would leave.
package faultdisk

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"pullprint/connector/bus"
	"pullprint/connector/bus/bustest"
)

// Fault is what a disk does to those who write to it. What can be read stays readable.
type Fault int

// The faults.
const (
	None       Fault = iota
	Full             // no byte more: ENOSPC for writes, files and folders
	WriteError       // EIO for writes
	SyncError        // writes are taken, and EIO is the answer to fsync
	Short            // half of a write is taken, then the disk is full
	SlowSync         // fsync answers only after Slow
	ReadOnly         // EROFS for all that changes anything
)

func (f Fault) String() string {
	return [...]string{"none", "full", "write error", "sync error", "short writes", "slow sync", "read-only"}[f]
}

// Faults are all of them.
var Faults = []Fault{Full, WriteError, SyncError, Short, SlowSync, ReadOnly}

var seed = flag.Uint64("disk.seed", 1, "which cases are drawn of those of a faulty disk")

// Draw returns n of all cases, in the order in which they are drawn, or all when n is 0. The same -disk.seed draws the
// same: a test that fails for one case fails for it each time.
func Draw[T any](tb testing.TB, all []T, n int) []T {
	tb.Helper()
	if n == 0 {
		return all
	}
	lot := rand.New(rand.NewPCG(*seed, 0))
	lot.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:min(n, len(all))]
	tb.Logf("-disk.seed %d draws %v", *seed, all)
	return all
}

// Slow is how long a slow fsync takes: longer than the 2 s that a store has for a
// notification.
const Slow = 4 * time.Second

// Disk is a disk that can fail.
type Disk struct {
	tb  testing.TB
	Dir string // where it is mounted

	server *fuse.Server

	mu      sync.Mutex // guards all below
	backing string
	fault   Fault
	only    string        // the part of a path that is affected; empty for every path
	healed  chan struct{} // closed when the fault ends
	spared  int           // how many times it does not strike yet
	struck  int
	halved  map[*node]bool  // files of which a write was cut short
	undo    map[*node][]was // what is not synced, oldest first
}

// was is what a change to a file overwrote.
type was struct {
	at   int64
	data []byte
	size int64
}

// New mounts a disk until the test ends. Without FUSE the test is skipped.
func New(tb testing.TB) *Disk {
	tb.Helper()
	d := &Disk{
		tb: tb, Dir: bustest.TempDir(tb), backing: bustest.TempDir(tb), healed: make(chan struct{}),
		halved: map[*node]bool{}, undo: map[*node][]was{},
	}
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		tb.Skipf("a disk that fails needs FUSE: %v", err)
	} else {
		f.Close()
	}
	d.mount()
	tb.Cleanup(func() {
		d.Heal()
		d.unmount()
	})
	return d
}

func (d *Disk) mount() {
	d.tb.Helper()
	root := &fusefs.LoopbackRoot{Path: d.backing}
	var st syscall.Stat_t
	if err := syscall.Stat(d.backing, &st); err != nil {
		d.tb.Fatal(err)
	}
	root.Dev = uint64(st.Dev) //nolint:unconvert // 32 bits elsewhere
	top := &node{LoopbackNode: fusefs.LoopbackNode{RootData: root}, disk: d}
	root.RootNode = top
	// An attribute that the kernel keeps for long would hide what a power cut took.
	second := time.Second
	server, err := fusefs.Mount(d.Dir, top, &fusefs.Options{
		AttrTimeout: &second, EntryTimeout: &second,
		MountOptions: fuse.MountOptions{DirectMount: true, FsName: "faultdisk", Name: "faultdisk"},
	})
	if err != nil {
		d.tb.Skipf("a disk that fails needs the right to mount one: %v", err)
	}
	d.server = server
}

func (d *Disk) unmount() {
	d.tb.Helper()
	if err := d.server.Unmount(); err != nil {
		d.tb.Logf("unmount %s: %v", d.Dir, err)
		if err := syscall.Unmount(d.Dir, syscall.MNT_DETACH); err != nil {
			d.tb.Errorf("unmount %s: %v", d.Dir, err)
		}
	}
	d.server.Wait()
}

// Fail makes the disk fail for the paths in which part occurs, all when it is empty.
func (d *Disk) Fail(f Fault, part string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.only, d.struck, d.spared = f, part, 0, 0
	d.healed = make(chan struct{})
	clear(d.halved)
}

// FailAfter is Fail for a fault that spares the first few that it is for.
func (d *Disk) FailAfter(f Fault, part string, spared int) {
	d.Fail(f, part)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spared = spared
}

// Heal ends the fault and returns how often it struck.
func (d *Disk) Heal() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault != None {
		close(d.healed)
	}
	d.fault = None
	return d.struck
}

// Struck is how often the fault has struck so far.
func (d *Disk) Struck() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.struck
}

// strikes reports the fault if it is one of some, and affects a path.
func (d *Disk) strikes(path string, some ...Fault) Fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range some {
		if f == d.fault && strings.Contains("/"+path, d.only) {
			if d.spared > 0 {
				d.spared--
				return None
			}
			d.struck++
			return f
		}
	}
	return None
}

// changes is the answer to who wants to change a file or a folder.
func (d *Disk) changes(path string, some ...Fault) syscall.Errno {
	switch d.strikes(path, some...) {
	case Full, Short:
		return syscall.ENOSPC
	case WriteError:
		return syscall.EIO
	case ReadOnly:
		return syscall.EROFS
	}
	return 0
}

// half reports whether a write to a file is to be cut short: the first is, and the next
// finds no room.
func (d *Disk) half(n *node) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.halved[n] {
		return false
	}
	d.halved[n] = true
	return true
}

// remember keeps what a change of a file from an offset on overwrites. The file keeps
// what it is given until a power cut.
func (d *Disk) remember(n *node, at, length int64) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := os.Open(filepath.Join(d.backing, n.Path(nil)))
	if err != nil {
		return fusefs.ToErrno(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return fusefs.ToErrno(err)
	}
	w := was{at: at, size: st.Size()}
	if length = min(length, st.Size()-at); length > 0 {
		w.data = make([]byte, length)
		if _, err := f.ReadAt(w.data, at); err != nil {
			return fusefs.ToErrno(err)
		}
	}
	d.undo[n] = append(d.undo[n], w)
	return 0
}

func (d *Disk) synced(n *node) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.undo, n)
}

// PowerCut takes away all that was written and not synced, and returns how many files
// were affected. Names are kept, as by a journal: a new file that was never synced is
// there and empty. Nobody may have a file of the disk open.
func (d *Disk) PowerCut() int {
	d.tb.Helper()
	d.unmount()
	d.mu.Lock()
	affected := 0
	for n, list := range d.undo {
		if n.StableAttr().Mode&syscall.S_IFMT != syscall.S_IFREG {
			continue
		}
		if undone, err := d.revert(n, list); err != nil {
			d.tb.Error(err)
		} else if undone {
			affected++
		}
	}
	clear(d.undo)
	d.mu.Unlock()
	d.mount()
	return affected
}

// Kill ends a bus on the disk as kill -9 would, whether the disk fails or not: what is there
// at this moment stays, and the fault goes on.
func (d *Disk) Kill(b *bus.Bus) {
	d.tb.Helper()
	left := bustest.TempDir(d.tb)
	if err := b.Crash(func() error { return os.CopyFS(left, os.DirFS(d.backing)) }); err != nil {
		d.tb.Fatalf("kill bus: %v", err)
	}
	d.unmount()
	d.mu.Lock()
	d.backing = left
	clear(d.undo)
	d.mu.Unlock()
	d.mount()
}

// revert undoes the changes of a file; one that was removed since stays removed.
func (d *Disk) revert(n *node, list []was) (bool, error) {
	if _, parent := n.Parent(); parent == nil {
		return false, nil
	}
	name := filepath.Join(d.backing, n.Path(nil))
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	defer f.Close()
	for i := len(list) - 1; i >= 0; i-- {
		if _, err := f.WriteAt(list[i].data, list[i].at); err != nil {
			return false, fmt.Errorf("undo what was not synced: %w", err)
		}
		if err := f.Truncate(list[i].size); err != nil {
			return false, fmt.Errorf("undo what was not synced: %w", err)
		}
	}
	return true, nil
}
