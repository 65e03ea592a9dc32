package trigger

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// storedForms are the types that are stored as JSON, by the name of their file.
var storedForms = map[string]func() any{
	"definition":    func() any { return new(definition) },
	"lifecycle":     func() any { return new(lifecycle) },
	"subscriptions": func() any { return new(subscriptions) },
	"sweep":         func() any { return new(sweepEntry) },
}

// What is stored is read, and stored again as the same bytes; what a later version has
// added is left out. It is quotatest.Stored, which this package can't import.
func TestStoredForms(t *testing.T) {
	t.Parallel()
	for name, empty := range storedForms {
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
