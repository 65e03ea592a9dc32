// Package durable replaces files so that after a crash each is the old one or the new one,
// whole and on disk.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Write replaces a file by one with text that only its owner may read. It writes the text
// to the file's name with .new appended first.
func Write(file string, text []byte) error {
	tmp := file + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
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
