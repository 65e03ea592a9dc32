package pages_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pullprint/trigger/pages"
)

// treeOf is a tree of n pages, all of them the object 3.
func treeOf(n int) string {
	return fmt.Sprintf("<< /Type /Pages /Count %d /Kids [%s] >>", n, strings.TrimSpace(strings.Repeat("3 0 R ", n)))
}

// within is a file of n pages in which something stands, with a right or a wrong startxref.
func within(n int, what string, wrong bool) []byte {
	w := newWriter()
	w.object(1, mutantRoot)
	w.object(2, "%s", treeOf(n))
	w.object(3, mutantPage)
	w.WriteString(what)
	src := w.table(3, "")
	if wrong {
		src = append(bytes.Clone(src[:bytes.LastIndex(src, []byte("startxref"))]), "startxref\n7\n%%EOF\n"...)
	}
	return src
}

// An object that stands in a string, a comment or a stream of another is none. A file that
// has to be searched is taken for another document by readers that search line by line, and
// so has no number of pages.
func TestInnerObjects(t *testing.T) {
	const object = "2 0 obj\n" + "%s\nendobj\n"
	deflatedOne := string(deflated(t, bytes.NewReader(within(1, "", false))))
	for _, n := range [][2]int{{4, 1}, {1, 4}} {
		inner := fmt.Sprintf(object, treeOf(n[1]))
		document := string(within(n[1], "", false))
		for name, what := range map[string]string{
			"string":           "20 0 obj\n(\n" + inner + ")\nendobj\n",
			"array":            "20 0 obj\n[(\n" + inner + ")]\nendobj\n",
			"dictionary":       "20 0 obj\n<< /X (\n" + inner + ") >>\nendobj\n",
			"stream":           fmt.Sprintf("20 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n", len(inner), inner),
			"PDF":              fmt.Sprintf("20 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n", len(document), document),
			"PDF, wrong size":  fmt.Sprintf("20 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n", len(document)+99, document),
			"trailer":          "20 0 obj\n<< >>\nstream\ntrailer << /Root 9 0 R >>\nendstream\nendobj\n",
			"with a sign":      "+" + inner,
			"with a comment":   strings.Replace(inner, " obj", " % x\nobj", 1),
			"deflated is none": fmt.Sprintf("20 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n", len(deflatedOne), deflatedOne),
		} {
			for _, wrong := range []bool{false, true} {
				src, want := within(n[0], what, wrong), n[0]
				if wrong && name != "deflated is none" {
					want = 0
				}
				got, err := pages.Count(t.Context(), bytes.NewReader(src), int64(len(src)), "application/pdf")
				if got != want || (want == 0) != errors.Is(err, pages.ErrUncountable) {
					t.Errorf("%s, %d in %d, wrong %t: %d, %v; want %d", name, n[1], n[0], wrong, got, err, want)
				}
			}
		}
	}
}
