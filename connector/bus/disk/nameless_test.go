package disk_test

import (
	"io"
	"os"
	"testing"

	"pullprint/connector/bus/disk"
)

// A copy of all state that is made on the way is in no folder, so that a process which is
// killed leaves none.
func TestNameless(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := disk.Nameless(dir, "copy-*")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
	if _, err := f.WriteString("all"); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 3))
	if err != nil || string(text) != "all" {
		t.Errorf("%q %v", text, err)
	}
}
