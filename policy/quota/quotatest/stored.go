package quotatest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Stored holds types that are stored as JSON to the bytes that were stored before:
// testdata/stored has a file of each, one value a line, among them one with nothing set
// and one with everything set. Each is read and stored again as the same bytes; what a
// later version has added is left out.
func Stored(t *testing.T, types map[string]func() any) {
	t.Helper()
	for name, empty := range types {
		file, err := os.ReadFile(filepath.Join("testdata", "stored", name+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(file) {
			line = bytes.TrimSpace(line)
			more := bytes.Replace(line, []byte("{"), []byte(`{"a_later_version":{"a":[1]},`), 1)
			more = bytes.Replace(more, []byte(",}"), []byte("}"), 1)
			for _, strict := range []bool{true, false} {
				v, src := empty(), more
				if strict {
					src = line
				}
				d := json.NewDecoder(bytes.NewReader(src))
				if strict {
					d.DisallowUnknownFields()
				}
				if err := d.Decode(v); err != nil {
					t.Errorf("%s can't be read: %v\n%s", name, err, src)
					continue
				}
				if got, err := json.Marshal(v); err != nil || !bytes.Equal(got, line) {
					t.Errorf("%s is stored as\n%s\nand was\n%s (%v)", name, got, line, err)
				}
			}
		}
	}
}
