package pages_test

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pullprint/trigger/pages"
)

// trouble is a row of testdata/cases.tsv: a document that is not as it should be,
// with how many pages ordinary readers print of it. Unknown says that no number is
// right, too; 0 that no number is right at all.
type trouble struct {
	kind, path, what string
	right            int
	unknown          bool
}

func troubles(t testing.TB) []trouble {
	t.Helper()
	f, err := os.Open("testdata/cases.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []trouble
	for s := bufio.NewScanner(f); s.Scan(); {
		col := strings.Split(s.Text(), "\t")
		if len(col) != 4 || col[0] == "kind" {
			continue
		}
		number, unknown := strings.CutSuffix(col[2], "?")
		right, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(s.Text())
		}
		list = append(list, trouble{col[0], filepath.Join("testdata/cases", col[1]), col[3], right, unknown || right == 0})
	}
	return list
}

// A document that is not as it should be has as many pages as ordinary readers
// print of it, or is unknown where they differ. A wrong number is never right.
func TestIrregularDocuments(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range troubles(t) {
		seen[c.path] = true
		src, err := os.ReadFile(c.path)
		if err != nil {
			t.Fatal(err)
		}
		kind := map[string]string{".pdf": "application/pdf", ".xps": "application/oxps"}[filepath.Ext(c.path)]
		n, err := pages.Count(t.Context(), bytes.NewReader(src), int64(len(src)), kind)
		switch {
		case err == nil && n == c.right:
		case c.unknown && errors.Is(err, pages.ErrUncountable):
		default:
			t.Errorf("%s %s: %d, %v; want %d (%s)", c.kind, filepath.Base(c.path), n, err, c.right, c.what)
		}
	}
	files, err := filepath.Glob("testdata/cases/*")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[f] {
			t.Errorf("nobody says how many pages %s has", f)
		}
	}
}
