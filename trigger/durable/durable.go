// Package durable replaces files so that after a crash each is either the old one or the new
// one, complete and on disk.
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

// Write replaces a file by one with text that only its owner may read. It first writes the text
// to a file whose name ends in .new.
func Write(file string, text []byte, options ...Option) error {
	tmp := file + ".new"
	// A file of that name may be left of a process that died, or be a link that the owner of
	// the folder made and that root must not follow.
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

// Rename renames a file that is on disk already, replaces the one of the new name, and puts the
// new name on disk.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return Sync(filepath.Dir(to))
}

// Sync puts the list of names in a folder, or the content of a file, on disk.
func Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
