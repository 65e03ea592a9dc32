package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pullprint/connector/terminal"
)

// A file that a person names and that can't be read is told of with its name, the cause,
// and what to do.
func TestNamedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	token := file(t, "token", "0123456789abcdef0123456789abcdef")
	at := func(args ...string) []string { return append(args, "--url", "http://127.0.0.1:9", "--token-file") }
	given := func(args ...string) []string { return append(at(args...), token) }
	missing, below := filepath.Join(dir, "missing"), filepath.Join(dir, "none", "missing")
	for _, c := range []struct {
		args  []string
		wants []string
	}{
		{append(at("jobs", "list"), missing), []string{"the token can't be read", missing, "--token-file"}},
		{append(at("jobs", "list"), below), []string{"the folder " + filepath.Dir(below) + " is missing, too"}},
		{append(at("jobs", "list"), dir), []string{dir, "is a directory", "name the file in it"}},
		{append(at("jobs", "list"), empty), []string{empty, "holds no token"}},
		{[]string{"run", "--config", dir}, []string{"the configuration can't be read", dir, "name the file in it"}},
		{[]string{"run", "--config", missing}, []string{"there is no configuration", missing, "--config"}},
		{given("badge", "import", missing), []string{"the input can't be read", missing, "check the name"}},
		{given("badge", "import", dir), []string{dir, "name the file in it"}},
		{[]string{"policy", "check", dir}, []string{"the policy can't be read", dir, "name the file in it"}},
		{[]string{"policy", "explain", "--input", missing}, []string{"the input can't be read", missing, "check the name"}},
		{
			[]string{"pages", "--pages", "1", "--settings", missing},
			[]string{"the input can't be read", missing, "check the name"},
		},
		{[]string{"restore", "--check", missing}, []string{"the backup can't be read", missing, "check the name"}},
		{[]string{"restore", "--check", dir}, []string{"the backup can't be read", dir, "name the file in it"}},
		{[]string{"man", "--dir", below}, []string{"the manual page can't be written", below, "make the folder " + below}},
	} {
		var out, told bytes.Buffer
		if code := execute(t.Context(), c.args, stdio{strings.NewReader(""), &out, &told}); code == exitDone {
			t.Errorf("%v: done", c.args)
		}
		for _, want := range c.wants {
			if !strings.Contains(told.String(), want) {
				t.Errorf("%v: %q lacks %q", c.args, told.String(), want)
			}
		}
	}
}

// Whoever may not read or write a file is told who they are and what to do.
func TestFileAdvice(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	at := func(err error) error { return &fs.PathError{Op: "open", Path: path, Err: err} }
	for _, c := range []struct {
		err  error
		want string
	}{
		{unreadable("the token", path, at(syscall.EACCES)), fmt.Sprintf("%s may not read it: run this as", terminal.User())},
		{unreadable("the token", path, at(syscall.EIO)), "check the file and its disk"},
		{unwritable("the backup", path, at(syscall.EACCES)), fmt.Sprintf("%s may not write in %s", terminal.User(),
			filepath.Dir(path))},
		{unwritable("the backup", path, at(syscall.ENOSPC)), "make room"},
	} {
		if n := strings.Count(c.err.Error(), path); !strings.Contains(c.err.Error(), c.want) || n != 1 {
			t.Errorf("%q lacks %q, or names the file %d times", c.err, c.want, n)
		}
	}
}
