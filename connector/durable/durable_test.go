package durable

import (
	"os"
	"path/filepath"
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
