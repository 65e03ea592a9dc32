package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pullprint/policy/strictyaml"
)

var update = flag.Bool("update", false, "write the golden files anew")

// planted stands in the tests' secrets; nothing of them may be shown.
var planted = []string{"the-Secret-0f", "PLANTED"}

// Each file in testdata/bad is wrong in one way, and the text beside it is all
// that an administrator gets to see.
func TestBadFiles(t *testing.T) {
	t.Chdir(filepath.Join("testdata", "bad"))
	golden, err := filepath.Glob("*.txt")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	bad := 0
	for _, file := range files {
		if file == "policy.yaml" {
			continue // named by others
		}
		bad++
		t.Run(strings.TrimSuffix(file, ".yaml"), func(t *testing.T) { badFile(t, file) })
	}
	if !*update && len(golden) != bad {
		t.Errorf("%d files and %d texts", bad, len(golden))
	}
}

func badFile(t *testing.T, file string) {
	_, err := Load(file)
	if err == nil {
		t.Fatal("accepted")
	}
	got, name := err.Error(), strings.TrimSuffix(file, ".yaml")+".txt"
	for _, p := range planted {
		if strings.Contains(got, p) {
			t.Errorf("shows a secret:\n%s", got)
		}
	}
	var ps strictyaml.Problems
	if !errors.As(err, &ps) {
		t.Fatalf("%T is no list of problems", err)
	}
	for _, p := range ps {
		if p.Message == "" || p.Hint == "" {
			t.Errorf("%s: %q doesn't say what to do next", p.Place(), p.Message)
		}
	}
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
