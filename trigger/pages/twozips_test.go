package pages_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"pullprint/trigger/pages"
)

// zipped is a package of n pages; options alter it.
func zipped(tb testing.TB, n int, options ...func(z *zip.Writer) error) []byte {
	tb.Helper()
	const space = "http://schemas.openxps.org/oxps/v1.0"
	return zipOf(tb, func(z *zip.Writer) error {
		for _, o := range options {
			if err := o(z); err != nil {
				return err
			}
		}
		for _, p := range [][2]string{
			{
				"_rels/.rels",
				`<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Type="` + space +
					`/fixedrepresentation" Target="/s"/></Relationships>`,
			},
			{"s", `<FixedDocumentSequence xmlns="` + space + `"><DocumentReference Source="d"/></FixedDocumentSequence>`},
			{"d", `<FixedDocument xmlns="` + space + `">` + strings.Repeat(`<PageContent Source="p"/>`, n) + `</FixedDocument>`},
			{"p", `<FixedPage xmlns="` + space + `"/>`},
		} {
			w, err := z.Create(p[0])
			if err == nil {
				_, err = io.WriteString(w, p[1])
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// A file that is two zips has no number of pages: some readers take the first, others the
// last, others none.
func TestTwoZips(t *testing.T) {
	one, ten := zipped(t, 1), zipped(t, 10)
	large := zipped(t, 1, func(z *zip.Writer) error {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "picture", Method: zip.Store})
		if err == nil {
			_, err = io.CopyN(w, rand.NewChaCha8([32]byte{1}), 200_000)
		}
		return err
	})
	behind := func(z *zip.Writer) error { z.SetOffset(int64(len(ten))); return nil }
	comment := func(text []byte) func(z *zip.Writer) error {
		return func(z *zip.Writer) error { return z.SetComment(string(text)) }
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	size := len(zipped(t, 10, comment(one))) - len(one)
	for name, c := range map[string]struct {
		src  []byte
		want int
	}{
		"one":                        {one, 1},
		"large":                      {large, 1},
		"with a comment":             {zipped(t, 10, comment([]byte("printed by us"))), 10},
		"with zeros behind":          {join(ten, make([]byte, 100)), 10},
		"joined":                     {join(ten, one), 0},
		"joined, the other way":      {join(one, ten), 0},
		"joined, the last is large":  {join(ten, large), 0},
		"joined, with right offsets": {join(ten, zipped(t, 1, behind)), 0},
		"joined, with bytes before":  {join([]byte("xx"), ten, large), 0},
		"in the comment":             {zipped(t, 10, comment(one)), 0},
		"in the comment, right offsets": {
			zipped(t, 10, comment(zipped(t, 1, func(z *zip.Writer) error { z.SetOffset(int64(size)); return nil }))), 0,
		},
	} {
		n, err := pages.Count(t.Context(), bytes.NewReader(c.src), int64(len(c.src)), "application/oxps")
		if n != c.want || (c.want == 0) != errors.Is(err, pages.ErrUncountable) {
			t.Errorf("%s: %d, %v; want %d", name, n, err, c.want)
		}
	}
}
