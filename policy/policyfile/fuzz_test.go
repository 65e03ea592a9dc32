package policyfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pullprint/policy"
	"pullprint/policy/strictyaml"
	"pullprint/trigger/fuzztest"
)

// Whatever the file, Load answers with a policy that decides or with problems
// that have a place.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "../../deploy/*.yaml", "../../deploy/policies/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal(pattern, err)
		}
		for _, name := range files {
			src, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
			f.Add(append([]byte("\ufeff"), bytes.ReplaceAll(src, []byte("\n"), []byte("\r\n"))...))
		}
	}
	watch := fuzztest.New(f, fuzztest.Small)
	f.Fuzz(func(t *testing.T, src []byte) {
		defer watch.Input(t)()
		if len(src) > maxFile {
			t.Skip("refused as a whole")
		}
		p, err := Load("policy.yaml", src)
		if err == nil {
			for _, r := range []policy.Request{arriving(), arriving(direct), arriving(release), arriving(color)} {
				if d := p.Decide(r); d.Verdict == "" || d.Point != r.Point {
					t.Errorf("no answer: %+v", d)
				}
			}
			return
		}
		var ps strictyaml.Problems
		if !errors.As(err, &ps) || len(ps) == 0 {
			t.Fatalf("no list of problems: %v", err)
		}
		for _, problem := range ps {
			placed := problem.Line > 0 && problem.Column > 0 || strings.HasPrefix(problem.Message, "the file is empty")
			if problem.Message == "" || problem.File == "" || !placed {
				t.Errorf("%+v", problem)
			}
		}
	})
}
