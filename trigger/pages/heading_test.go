package pages_test

import (
	"bytes"
	"errors"
	"testing"

	"pullprint/trigger/pages"
)

// A page whose heading is damaged is one that a search does not find: it is there,
// and other readers print it. The number is right then, or unknown.
func TestHeadings(t *testing.T) {
	w := newWriter()
	w.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
	w.object(2, "<< /Type /Pages /Count 3 /Kids [3 0 R 4 0 R] >>")
	w.object(3, "<< /Type /Page /Parent 2 0 R >>")
	w.object(4, "<< /Type /Pages /Parent 2 0 R /Count 2 /Kids [5 0 R 6 0 R] >>")
	w.object(5, "<< /Type /Page /Parent 4 0 R >>")
	w.object(6, "<< /Type /Page /Parent 4 0 R >>")
	src := w.table(6, "")
	for number := 1; number <= 6; number++ {
		at := w.offsets[number]
		for i := at; i < at+len("1 0 obj"); i++ {
			for bit := range 8 {
				damaged := bytes.Clone(src)
				damaged[i] ^= 1 << bit
				n, err := pages.Count(t.Context(), bytes.NewReader(damaged), int64(len(damaged)), "application/pdf")
				if n != 3 && !errors.Is(err, pages.ErrUncountable) {
					t.Errorf("object %d, byte %d, bit %d: %d, %v; want 3, or unknown", number, i-at, bit, n, err)
				}
			}
		}
	}
}
