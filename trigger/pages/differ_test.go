package pages_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pullprint/trigger/pages"
)

// forked writes the objects of a tree of one page, 2, and of one of four, 20, which
// has the catalog 10.
func forked() *writer {
	w := newWriter()
	w.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
	w.object(2, small)
	w.object(3, "<< /Type /Page /Parent 2 0 R >>")
	w.object(10, "<< /Type /Catalog /Pages 20 0 R >>")
	w.object(20, large)
	return w
}

const (
	small = "<< /Type /Pages /Count 1 /Kids [3 0 R] >>"
	large = "<< /Type /Pages /Count 4 /Kids [3 0 R 3 0 R 3 0 R 3 0 R] >>"
)

// packedTwice is a file whose object stream has the tree twice.
func packedTwice(first, second string) []byte {
	w := newWriter()
	w.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
	w.object(3, "<< /Type /Page /Parent 2 0 R >>")
	head := fmt.Sprintf("2 0 2 %d ", len(first)+1)
	w.stream(7, fmt.Sprintf("/Type /ObjStm /N 2 /First %d", len(head)), []byte(head+first+" "+second))
	return w.rows(8, map[int]int{2: 7})
}

// update is a table of some objects, with an update that has the tree anew as
// another generation.
func update(reference int) []byte {
	w := newWriter()
	w.object(1, "<< /Type /Catalog /Pages 2 %d R >>", reference)
	w.object(2, small)
	w.object(3, "<< /Type /Page /Parent 2 0 R >>")
	prev := w.Len()
	w.table(3, "")
	tree := w.Len()
	fmt.Fprintf(w, "2 1 obj\n%s\nendobj\n", large)
	at := w.Len()
	fmt.Fprintf(w, "xref\n2 1\n%010d 00001 n \ntrailer\n<< /Size 4 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n", tree, prev, at)
	return w.Bytes()
}

// updated is a file whose last update says twice which one is before it, or has
// another one before it in the stream of a hybrid file.
func updated(trailer func(one, four, stream int) string) []byte {
	w := forked()
	one := w.Len()
	w.table(20, "")
	w.object(2, large)
	four := w.Len()
	w.table(20, fmt.Sprintf("/Prev %d", one))
	stream := w.Len()
	w.stream(30, fmt.Sprintf("/Type /XRef /W [1 4 2] /Index [] /Size 31 /Root 1 0 R /Prev %d", four), nil)
	at := w.Len()
	fmt.Fprintf(w, "xref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 31 /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n",
		trailer(one, four, stream), at)
	return w.Bytes()
}

// A document that readers take for different ones has no number of pages.
func TestReadersDiffer(t *testing.T) {
	rows := string(forked().rows(21, nil))
	alter := func(old, to string) []byte {
		if !strings.Contains(rows, old) {
			t.Fatalf("nothing to alter: %s", old)
		}
		return []byte(strings.Replace(rows, old, to, 1))
	}
	packed := string(inStream(t, strings.NewReader(small)))
	for name, c := range map[string]struct {
		src  []byte
		want int
	}{
		"plain":                      {forked().table(20, ""), 1},
		"another root":               {forked().table(20, "/Root 10 0 R"), 0},
		"the same root":              {forked().table(20, "/Root 1 0 R"), 1},
		"rows":                       {[]byte(rows), 1},
		"rows, another root":         {alter("/Root 1 0 R", "/Root 1 0 R /Root 10 0 R"), 0},
		"rows, widths twice":         {alter("/W [1 4 2]", "/W [1 4 2] /W [1 2 4]"), 0},
		"rows, the same widths":      {alter("/W [1 4 2]", "/W [1 4 2] /W [1 4 2]"), 1},
		"rows, index twice":          {alter("/W [1 4 2]", "/W [1 4 2] /Index [0 22] /Index [1 21]"), 0},
		"rows, size twice":           {alter("/W [1 4 2]", "/W [1 4 2] /Size 9"), 0},
		"packed":                     {[]byte(packed), 1},
		"packed, first twice":        {[]byte(strings.Replace(packed, "/First 4", "/First 9 /First 4", 1)), 0},
		"packed, how many twice":     {[]byte(strings.Replace(packed, "/N 1", "/N 0 /N 1", 1)), 0},
		"packed twice, large first":  {packedTwice(large, small), 0},
		"packed twice, small first":  {packedTwice(small, large), 0},
		"another generation":         {update(0), 0},
		"the generation of an entry": {update(1), 4},
		"one before":                 {updated(func(one, _, _ int) string { return fmt.Sprintf("/Prev %d", one) }), 1},
		"two before":                 {updated(func(one, four, _ int) string { return fmt.Sprintf("/Prev %d /Prev %d", four, one) }), 0},
		"two before, the small first": {
			updated(func(one, four, _ int) string { return fmt.Sprintf("/Prev %d /Prev %d", one, four) }), 0,
		},
		"another before in a stream": {
			updated(func(one, _, stream int) string { return fmt.Sprintf("/Prev %d /XRefStm %d", one, stream) }), 0,
		},
		"two streams": {
			updated(func(one, _, stream int) string { return fmt.Sprintf("/Prev %d /XRefStm 9 /XRefStm %d", one, stream) }), 0,
		},
	} {
		n, err := pages.Count(t.Context(), bytes.NewReader(c.src), int64(len(c.src)), "application/pdf")
		if n != c.want || (c.want == 0) != errors.Is(err, pages.ErrUncountable) {
			t.Errorf("%s: %d, %v; want %d", name, n, err, c.want)
		}
	}
}

// A reference that readers of XPS understand in more than one way is no page.
func TestReferencesDiffer(t *testing.T) {
	for name, c := range map[string]struct {
		page string
		want int
	}{
		"a page":          {`<PageContent Source="p"/>`, 1},
		"a source twice":  {`<PageContent Source="p" Source="d"/>`, 0},
		"a width twice":   {`<PageContent Source="p" Width="1" Width="2"/>`, 0},
		"other spaces":    {`<PageContent xmlns:x="urn:x" Source="p" x:Source="d"/>`, 1},
		"no part at all":  {`<PageContent Source="p"/><PageContent Source="/[Content_Types].xml"/>`, 0},
		"in another case": {`<PageContent Source="p"/><PageContent Source="/[content_types].XML"/>`, 0},
	} {
		src := packageOf(t, document(strings.NewReader(c.page+"</FixedDocument>")))
		if strings.Contains(c.page, "ypes") {
			src = withContentTypes(t, src)
		}
		n, err := pages.Count(t.Context(), bytes.NewReader(src), int64(len(src)), "application/oxps")
		if n != c.want || (c.want == 0) != errors.Is(err, pages.ErrUncountable) {
			t.Errorf("%s: %d, %v; want %d", name, n, err, c.want)
		}
	}
}

func withContentTypes(t *testing.T, src []byte) []byte {
	r, err := zip.NewReader(bytes.NewReader(src), int64(len(src)))
	if err != nil {
		t.Fatal(err)
	}
	return zipOf(t, func(z *zip.Writer) error {
		for _, f := range r.File {
			if err := z.Copy(f); err != nil {
				return err
			}
		}
		_, err := z.Create("[Content_Types].xml")
		return err
	})
}
