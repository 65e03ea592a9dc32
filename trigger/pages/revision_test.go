package pages_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pullprint/trigger/pages"
)

// another is a document of one page without a cross-reference, its objects numbered from
// first on.
func another(first int) string {
	return fmt.Sprintf("%d 0 obj\n<< /Type /Catalog /Pages %d 0 R >>\nendobj\n", first, first+1) +
		fmt.Sprintf("%d 0 obj\n<< /Type /Pages /Count 1 /Kids [%d 0 R] >>\nendobj\n", first+1, first+2) +
		fmt.Sprintf("%d 0 obj\n<< /Type /Page /Parent %d 0 R >>\nendobj\n", first+2, first+1)
}

// Another document is appended without a cross-reference. Readers that find the startxref
// before it count its pages, others those of the appended one. Where all find it, it counts;
// elsewhere there is no number. Ghostscript, MuPDF, poppler and qpdf were asked for each row.
func TestAppendedDocument(t *testing.T) {
	const unknown = 0
	trailer := func(root int) string { return fmt.Sprintf("trailer\n<< /Root %d 0 R >>\n", root) }
	lines := strings.NewReplacer(" obj", "\nobj")
	for name, c := range map[string]struct {
		behind string
		want   int
	}{
		"the same numbers":                    {another(1) + trailer(1) + "%%EOF\n", 12},
		"other numbers":                       {another(90) + trailer(90) + "%%EOF\n", 12},
		"without an end":                      {another(90) + trailer(90), 12},
		"in lines":                            {lines.Replace(another(90)) + trailer(90), 12},
		"further behind":                      {strings.Repeat("x", 900) + "\n" + another(90) + trailer(90), unknown},
		"further behind, in lines":            {strings.Repeat("x", 5000) + "\n" + lines.Replace(another(90)) + trailer(90), unknown},
		"far behind":                          {strings.Repeat("x", 1<<20) + "\n" + another(90) + trailer(90), unknown},
		"startxref 0":                         {another(90) + trailer(90) + "startxref\n0\n%%EOF\n", unknown},
		"startxref to nothing":                {another(90) + trailer(90) + "startxref\n99999999\n%%EOF\n", unknown},
		"startxref without a number":          {another(90) + trailer(90) + "startxref\nx\n%%EOF\n", unknown},
		"many startxref":                      {another(90) + trailer(90) + strings.Repeat("startxref\n0\n", 9), unknown},
		"a trailer that names the one before": {another(90) + "trailer\n<< /Root 90 0 R /Prev 9 >>\n", unknown},
		"without a trailer":                   {another(1), unknown},
		"with a part of a cross-reference":    {another(90) + "xref\n" + trailer(90), unknown},
		"the same document, further behind": {
			strings.Repeat("x", 2000) + "\n" + strings.Replace(another(90), "[92 0 R]", "["+strings.Repeat("92 0 R ", 12)+"]", 1) +
				trailer(90), 12,
		},
	} {
		src := append(bytes.Clone(within(12, "", false)), c.behind...)
		n, err := pages.Count(t.Context(), bytes.NewReader(src), int64(len(src)), "application/pdf")
		if n != c.want || (c.want == 0) != errors.Is(err, pages.ErrUncountable) {
			t.Errorf("%s: %d, %v; want %d", name, n, err, c.want)
		}
	}
}

// An update with one wrong entry, of an object that the tree does not need, is not taken
// for a reason to count by the objects alone: readers do not look at the entry.
func TestAppendedBeforeWrongEntry(t *testing.T) {
	w := newWriter()
	w.object(1, mutantRoot)
	w.object(2, "%s", treeOf(12))
	w.object(3, mutantPage)
	at := w.Len()
	w.table(3, "")
	w.object(7, "<< /Unused true >>")
	w.WriteString(another(1))
	start := w.Len()
	fmt.Fprintf(w, "xref\n7 1\n%010d 00000 n \ntrailer\n<< /Size 8 /Root 1 0 R /Prev %d >>\n", w.offsets[7]+3, at)
	src := w.finish(start)
	n, err := pages.Count(t.Context(), bytes.NewReader(src), int64(len(src)), "application/pdf")
	if !errors.Is(err, pages.ErrUncountable) {
		t.Errorf("%d, %v; want unknown", n, err)
	}
}
