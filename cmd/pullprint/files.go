package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"pullprint/connector/terminal"
)

// openNamed opens a file that a person named, to be read; what is what it should hold, as
// "the backup".
func openNamed(what, path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(what, path, err)
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		_ = f.Close()
		return nil, unreadable(what, path, syscall.EISDIR)
	}
	return f, nil
}

// readNamed reads a file that a person named.
func readNamed(what, path string) ([]byte, error) {
	f, err := openNamed(what, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, unreadable(what, path, err)
	}
	return text, nil
}

// unreadable tells why a file can't be read, and what to do about it. It wraps the cause.
func unreadable(what, path string, err error) error {
	next := "check the file and its disk"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		next = "check the name"
		if dir, missing := missingFolder(path); missing {
			next = fmt.Sprintf("the folder %s is missing, too: check the name", dir)
		}
	case errors.Is(err, fs.ErrPermission):
		next = fmt.Sprintf("%s may not read it: run this as its owner or as root", terminal.User())
	case errors.Is(err, syscall.EISDIR):
		next = "name the file in it"
	}
	return usageError{fmt.Errorf("%s can't be read: %s: %w; %s", what, path, causeOf(err), next)}
}

// unwritable tells why a file can't be written, and what to do about it.
func unwritable(what, path string, err error) error {
	next := "check its disk, or name a file elsewhere"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if dir, missing := missingFolder(path); missing {
			next = fmt.Sprintf("make the folder %s first, or name a file elsewhere", dir)
		}
	case errors.Is(err, fs.ErrPermission):
		next = fmt.Sprintf("%s may not write in %s: run this as somebody who may, or name a file elsewhere", terminal.User(),
			filepath.Dir(path))
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		next = "make room, or name a file on another disk"
	}
	return fmt.Errorf("%s can't be written: %s: %w; %s", what, path, causeOf(err), next)
}

// missingFolder is the folder that a file would be in, and whether it does not exist.
func missingFolder(path string) (dir string, missing bool) {
	dir = filepath.Dir(path)
	_, err := os.Stat(dir)
	return dir, errors.Is(err, fs.ErrNotExist)
}

// causeOf is an error without the name of the file, which the message tells.
func causeOf(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
