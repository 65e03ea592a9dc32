// Package durable replaces files so that after a crash each is the old one or the new one,
// whole and on disk.
package durable

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Option changes how a file is written.
type Option func(f *os.File) error

// OwnerOfFolder gives a file that root writes to the owner of its folder: root registers, and
// the daemon reads.
func OwnerOfFolder(f *os.File) error {
	st, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return f.Chown(int(s.Uid), int(s.Gid))
	}
	return nil
}

// Write replaces a file by one with text that only its owner may read. It writes the text
// to the file's name with .new appended first.
func Write(file string, text []byte, options ...Option) error {
	tmp := file + ".new"
	// What stands there may be of a process that died, or a link of whoever owns the folder,
	// which root must not follow.
	_ = syscall.Unlink(tmp)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	for _, o := range options {
		err = errors.Join(err, o(f))
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return Rename(tmp, file)
}

// Rename renames what is on disk already, in the place of what is there, and puts the
// new name on disk.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return Sync(filepath.Dir(to))
}

// Sync puts a folder's list of names, or a file's content, on disk.
func Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
