package pages_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"pullprint/trigger/pages"
)

// A field that is altered so that it says something else of the same form is found
// by what it leads to.
func TestAlteredFields(t *testing.T) {
	_, table := tables()
	_, stream := streams(t)
	w := newWriter()
	w.pages()
	plain := bytes.Clone(w.rows(5, nil))
	packed := xps(t, "http://schemas.openxps.org/oxps/v1.0")
	stored := zipOf(t, func(z *zip.Writer) error {
		r, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
		if err != nil {
			return err
		}
		for _, f := range r.File {
			in, err := f.Open()
			if err != nil {
				return err
			}
			out, err := z.CreateHeader(&zip.FileHeader{Name: f.Name, Method: zip.Store})
			if err == nil {
				_, err = io.Copy(out, in)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	for name, c := range map[string]struct {
		src      []byte
		old, new string
		right    int
		certain  bool
	}{
		"the number of an entry in an update":  {table, "xref\n2 1\n", "xref\n3 1\n", 3, false},
		"the index of an update":               {stream, "/Index [2 1 5 1", "/Index [3 1 5 1", 3, false},
		"the index of an update, another page": {stream, "/Index [2 1 5 1", "/Index [2 1 6 1", 3, false},
		"an entry of nobody in an update":      {table, "xref\n2 1\n", "xref\n8 1\n", 3, false},
		"an index of nobody in an update":      {stream, "/Index [2 1 5 1", "/Index [9 1 5 1", 3, false},
		"how many rows there are":              {plain, "/Size 6", "/Size 4", 2, true},
		"the width of rows":                    {plain, "/W [1 4 2]", "/W [1 4 1]", 2, true},
		"a part that is stored":                {stored, "<PageContent Source", "<PageContend Source", 3, false},
	} {
		if !bytes.Contains(c.src, []byte(c.old)) {
			t.Fatalf("%s: nothing to alter", name)
		}
		src := bytes.Replace(c.src, []byte(c.old), []byte(c.new), 1)
		n, err := pages.Count(t.Context(), bytes.NewReader(src), int64(len(src)), "")
		if n != c.right && (c.certain || !errors.Is(err, pages.ErrUncountable)) {
			t.Errorf("%s: %d, %v; want %d", name, n, err, c.right)
		}
	}
}

// A hybrid file whose hidden part can't be found has hidden pages.
func TestHidden(t *testing.T) {
	for _, key := range []string{"/XRefSth", "/XRefStm 9"} {
		src := []byte(strings.Replace(string(hybrid(t)), "/XRefStm", key, 1))
		n, err := pages.Count(t.Context(), bytes.NewReader(src), int64(len(src)), "application/pdf")
		if n != 3 && !errors.Is(err, pages.ErrUncountable) {
			t.Errorf("%s: %d, %v; want 3, or unknown", key, n, err)
		}
	}
}
