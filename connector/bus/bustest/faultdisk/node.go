package faultdisk

import (
	"context"
	"path/filepath"
	"syscall"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or a folder.
type node struct {
	fusefs.LoopbackNode
	disk *Disk
}

// WrapChild makes what is found in a folder one of ours.
func (n *node) WrapChild(context.Context, fusefs.InodeEmbedder) fusefs.InodeEmbedder {
	return &node{LoopbackNode: fusefs.LoopbackNode{RootData: n.RootData}, disk: n.disk}
}

// in is the path of a name in a folder.
func (n *node) in(name string) string { return filepath.Join(n.Path(nil), name) }

// Create makes a file.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (
	*fusefs.Inode, fusefs.FileHandle, uint32, syscall.Errno,
) {
	if errno := n.disk.changes(n.in(name), Full, Short, WriteError, ReadOnly); errno != 0 {
		return nil, nil, 0, errno
	}
	child, fh, fuseFlags, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	return child, n.disk.handle(child, fh, flags), fuseFlags, 0
}

// Open opens a file.
func (n *node) Open(ctx context.Context, flags uint32) (fusefs.FileHandle, uint32, syscall.Errno) {
	if flags&(syscall.O_WRONLY|syscall.O_RDWR) != 0 {
		if errno := n.disk.changes(n.Path(nil), ReadOnly); errno != 0 {
			return nil, 0, errno
		}
	}
	if flags&syscall.O_TRUNC != 0 {
		if errno := n.disk.remember(n, 0, 1<<62); errno != 0 {
			return nil, 0, errno
		}
	}
	fh, fuseFlags, errno := n.LoopbackNode.Open(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return n.disk.handle(n.EmbeddedInode(), fh, flags), fuseFlags, 0
}

// Mkdir makes a folder.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	if errno := n.disk.changes(n.in(name), Full, Short, WriteError, ReadOnly); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Mkdir(ctx, name, mode, out)
}

// Unlink removes a file; a full disk lets it.
func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	if errno := n.disk.changes(n.in(name), WriteError, ReadOnly); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Unlink(ctx, name)
}

// Rmdir removes a folder; a full disk lets it.
func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	if errno := n.disk.changes(n.in(name), WriteError, ReadOnly); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Rmdir(ctx, name)
}

// Rename renames; a full disk lets it.
func (n *node) Rename(ctx context.Context, name string, to fusefs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if errno := n.disk.changes(n.in(name), WriteError, ReadOnly); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Rename(ctx, name, to, newName, flags)
}

// Setattr changes attributes, and the size among them.
func (n *node) Setattr(ctx context.Context, fh fusefs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if errno := n.disk.changes(n.Path(nil), WriteError, ReadOnly); errno != 0 {
		return errno
	}
	if size, ok := in.GetSize(); ok {
		if errno := n.disk.remember(n, int64(size), 1<<62); errno != 0 {
			return errno
		}
	}
	return n.LoopbackNode.Setattr(ctx, fh, in, out)
}

// file is an open file.
type file struct {
	*fusefs.LoopbackFile
	node *node
	sync bool // each write is synced
}

func (d *Disk) handle(inode *fusefs.Inode, fh fusefs.FileHandle, flags uint32) fusefs.FileHandle {
	return &file{LoopbackFile: fh.(*fusefs.LoopbackFile), node: inode.Operations().(*node), sync: flags&syscall.O_SYNC == syscall.O_SYNC}
}

// PassthroughFd keeps the kernel from writing past us.
func (f *file) PassthroughFd() (int, bool) { return 0, false }

// Write writes.
func (f *file) Write(ctx context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	path := f.node.Path(nil)
	if f.node.disk.strikes(path, Short) == Short && len(data) > 1 && f.node.disk.half(f.node) {
		data = data[:len(data)/2]
	} else if errno := f.node.disk.changes(path, Full, Short, WriteError, ReadOnly); errno != 0 {
		return 0, errno
	}
	if errno := f.node.disk.remember(f.node, off, int64(len(data))); errno != 0 && errno != syscall.ENOENT {
		return 0, errno
	}
	n, errno := f.LoopbackFile.Write(ctx, data, off)
	if errno == 0 && f.sync {
		errno = f.Fsync(ctx, 0)
	}
	return n, errno
}

// Fsync syncs. What is below is a temporary directory: nothing of it has to reach a disk.
func (f *file) Fsync(context.Context, uint32) syscall.Errno {
	d := f.node.disk
	switch d.strikes(f.node.Path(nil), SyncError, SlowSync, ReadOnly) {
	case SyncError:
		return syscall.EIO
	case ReadOnly:
		return syscall.EROFS
	case SlowSync:
		d.wait(Slow)
	}
	d.synced(f.node)
	return 0
}

// wait waits for a time, or until the fault has ended.
func (d *Disk) wait(long time.Duration) {
	d.mu.Lock()
	healed := d.healed
	d.mu.Unlock()
	t := time.NewTimer(long)
	defer t.Stop()
	select {
	case <-t.C:
	case <-healed:
	}
}

// Allocate reserves room.
func (f *file) Allocate(ctx context.Context, off, size uint64, mode uint32) syscall.Errno {
	if errno := f.node.disk.changes(f.node.Path(nil), Full, Short, WriteError, ReadOnly); errno != 0 {
		return errno
	}
	return f.LoopbackFile.Allocate(ctx, off, size, mode)
}

// Flush has nothing to do. Told so, the kernel asks no more: a test process that dies with open
// files would wait for an answer of its own for ever.
func (f *file) Flush(context.Context) syscall.Errno { return syscall.ENOSYS }
