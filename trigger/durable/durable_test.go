package durable

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A file is replaced whole, only its owner may read it, and nothing is left beside it; what
// can't be written leaves the old file.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mark")
	for _, text := range []string{"a first text", "second"} {
		if err := Write(file, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != text {
			t.Errorf("%q %v", got, err)
		}
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", st.Mode(), err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("%v %v", list, err)
	}
	if err := os.Mkdir(file+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(file, []byte("third")); err == nil {
		t.Error("it is no error that the file can't be written")
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "second" {
		t.Errorf("%q %v", got, err)
	}
}

// What root writes for another belongs to the owner of the folder, the text included.
func TestOwnerOfFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 4242, 4243); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "token")
	if err := Write(file, []byte("text"), OwnerOfFolder); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if s := st.Sys().(*syscall.Stat_t); s.Uid != 4242 || s.Gid != 4243 || st.Mode().Perm() != 0o600 {
		t.Errorf("owner %d %d, %v", s.Uid, s.Gid, st.Mode())
	}
}

// A link or a file with other rights where the new file is written first is not written to.
func TestWriteFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	file, other := filepath.Join(dir, "token"), filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, file+".new"); err != nil {
		t.Fatal(err)
	}
	if err := Write(file, []byte("text")); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(other); err != nil || string(text) != "other" {
		t.Errorf("%q %v", text, err)
	}
	if st, err := os.Lstat(file); err != nil || st.Mode() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
}
