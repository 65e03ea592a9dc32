package pages_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
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

// An update in an object stream that can't be read, or that a search does not find,
// is not undone: what it changed is not taken from the revision before.
func TestPackedUpdates(t *testing.T) {
	w := newWriter()
	const first = "1 0 2 35 3 80 4 100 "
	w.stream(20, fmt.Sprintf("/Type /ObjStm /N 4 /First %d", len(first)), fmt.Appendf(nil, "%s%-35s%-45s%-20s%-20s", first,
		"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R 4 0 R] >>", "<< /Type /Page >>", "<< /Type /Page >>"))
	at := w.Len()
	w.rows(21, map[int]int{1: 20, 2: 20, 3: 20, 4: 20})
	const second = "2 0 5 50 "
	from := w.Len()
	w.stream(30, fmt.Sprintf("/Type /ObjStm /N 2 /First %d", len(second)), fmt.Appendf(nil, "%s%-50s%-20s", second,
		"<< /Type /Pages /Kids [3 0 R 4 0 R 5 0 R] >>", "<< /Type /Page >>"))
	to := from + bytes.Index(w.Bytes()[from:], []byte(second)) + len(second)
	var rows bytes.Buffer
	start := w.Len()
	for _, row := range [][2]uint32{{2, 30}, {2, 30}, {1, uint32(from)}, {1, uint32(start)}} {
		rows.WriteByte(byte(row[0]))
		_ = binary.Write(&rows, binary.BigEndian, row[1])
	}
	w.stream(31, fmt.Sprintf("/Type /XRef /W [1 4 0] /Index [2 1 5 1 30 2] /Size 32 /Root 1 0 R /Prev %d", at), rows.Bytes())
	fmt.Fprintf(w, "startxref\n%d\n%%%%EOF\n", start)
	src := w.Bytes()
	if n, err := pages.Count(t.Context(), bytes.NewReader(src), int64(len(src)), "application/pdf"); n != 3 {
		t.Fatalf("undamaged: %d, %v; want 3", n, err)
	}
	for i := from; i < to; i++ {
		for bit := range 8 {
			damaged := bytes.Clone(src)
			damaged[i] ^= 1 << bit
			n, err := pages.Count(t.Context(), bytes.NewReader(damaged), int64(len(damaged)), "application/pdf")
			if n != 3 && !errors.Is(err, pages.ErrUncountable) {
				t.Errorf("byte %d %q, bit %d: %d, %v; want 3, or unknown", i-from, src[i], bit, n, err)
			}
		}
	}
}

// A page whose entry is free and that still stands in the file is drawn by some
// readers: the number is unknown.
func TestFreeEntries(t *testing.T) {
	pdf := func(end func(*writer) []byte) []byte {
		w := newWriter()
		w.pages()
		return end(w)
	}
	table := pdf(func(w *writer) []byte { return w.table(4, "") })
	stream := pdf(func(w *writer) []byte { return w.rows(5, nil) })
	at := bytes.Index(table, []byte("4 0 obj"))
	entry := fmt.Appendf(nil, "%010d 00000 n", at)
	row := binary.BigEndian.AppendUint32([]byte{1}, uint32(at))
	for name, c := range map[string]struct {
		src, entry, becomes []byte
		want                int
	}{
		"a table":              {table, entry, fmt.Appendf(nil, "%010d 00000 f", at), 0},
		"a table, deleted":     {table, entry, []byte("0000000003 00001 f"), 0},
		"a table, the last":    {table, entry, []byte("0000000000 00001 f"), 0},
		"a stream":             {stream, row, binary.BigEndian.AppendUint32([]byte{0}, uint32(at)), 0},
		"a stream, no type":    {stream, row, binary.BigEndian.AppendUint32([]byte{5}, uint32(at)), 0},
		"a stream, deleted":    {stream, row, []byte{0, 0, 0, 0, 3}, 0},
		"a stream, as it was":  {stream, row, row, 2},
		"a table, as it was":   {table, entry, entry, 2},
		"free, another object": {table, entry, fmt.Appendf(nil, "%010d 00000 f", bytes.Index(table, []byte("3 0 obj"))), 0},
	} {
		src := bytes.Replace(c.src, c.entry, c.becomes, 1)
		n, err := pages.Count(t.Context(), bytes.NewReader(src), int64(len(src)), "application/pdf")
		if n != c.want || (c.want == 0) != errors.Is(err, pages.ErrUncountable) {
			t.Errorf("%s: %d, %v; want %d", name, n, err, c.want)
		}
	}
}
