package pdf

import (
	"io"

	"pullprint/trigger/pages/document"
)

// maxField is the maximum length of a field of a row in bytes: that of an int64.
const maxField = 8

// xrefRows are the rows of a cross-reference stream that its Index lists.
type xrefRows struct {
	subsections
	data   *document.Data
	widths [3]int
	width  int64
}

// xrefStream reads the rows of a cross-reference stream. If the stream does not end after its
// rows, it is damaged, or the number of rows is.
func (f *file) xrefStream(s *stream) (*xrefRows, error) {
	x, whole, err := f.readRows(s)
	if err == nil && !whole {
		f.dropRows(x)
		err = document.ErrDamaged
	}
	if err != nil {
		return nil, err
	}
	return x, nil
}

func (f *file) dropRows(x *xrefRows) {
	f.b.Free(int64(len(x.list)) * 2 * subsectionSize)
	f.b.Drop(x.data)
}

// behindRows is how much may follow the rows: the end of a line.
const behindRows = 2

// readRows reads the rows of a cross-reference stream. whole reports whether it is intact: it
// has as many rows as it says, and the right checksum. It does not inflate what follows them.
func (f *file) readRows(s *stream) (x *xrefRows, whole bool, err error) {
	x = &xrefRows{}
	if err := s.dict.once("W", "Index", "Size", "Length", "Filter", "DecodeParms"); err != nil {
		return nil, false, err
	}
	w, ok := s.dict["W"].(array)
	if !ok || len(w) < len(x.widths) {
		return nil, false, document.ErrDamaged
	}
	for i := range x.widths {
		n, ok := w[i].(int64)
		if !ok || n < 0 || n > maxField {
			return nil, false, document.ErrDamaged
		}
		x.widths[i] = int(n)
		x.width += n
	}
	rows, err := x.index(f.b, s.dict)
	if err != nil {
		return nil, false, err
	}
	if x.width == 0 || rows > f.b.Limits.Held/x.width {
		return nil, false, document.ErrTooLarge
	}
	r, err := f.decoded(s, nil)
	if err != nil {
		return nil, false, err
	}
	length := rows * x.width
	x.data, err = f.b.ReadAll(io.LimitReader(r, length+behindRows+1))
	if document.IsFinal(err) {
		return nil, false, err
	}
	return x, err == nil && x.data.Size() >= length && x.data.Size() <= length+behindRows, nil
}

// index reads which objects the rows list, and the number of rows.
func (x *xrefRows) index(b *document.Budget, d dict) (rows int64, err error) {
	list, ok := d["Index"].(array)
	if !ok {
		list = array{int64(0), d["Size"]}
	}
	for i := 0; i+1 < len(list); i += 2 {
		first, ok := list[i].(int64)
		count, ok2 := list[i+1].(int64)
		if !ok || !ok2 || first < 0 || count < 0 || count > b.Limits.Held || rows > b.Limits.Held {
			return 0, document.ErrDamaged
		}
		if err := x.add(b, subsection{first: first, count: count, at: rows}); err != nil {
			return 0, err
		}
		rows += count
	}
	return rows, nil
}

func (x *xrefRows) find(f *file, number int64) (entry, bool, error) {
	s, err := x.of(f.b, number)
	if s == nil || err != nil {
		return entry{}, false, err
	}
	at := (s.at + number - s.first) * x.width
	var all [3 * maxField]byte
	row := all[:x.width]
	if n, _ := x.data.ReadAt(row, at); n < len(row) {
		return entry{}, false, document.ErrDamaged
	}
	fields := [3]int64{1, 0, 0} // without a type, an object at an offset
	for i, w := range x.widths {
		if w == 0 {
			continue
		}
		fields[i] = 0
		for _, b := range row[:w] {
			fields[i] = fields[i]<<8 | int64(b)
		}
		row = row[w:]
	}
	switch fields[0] {
	case 1:
		return entry{offset: fields[1], free: fields[1] == 0, generation: fields[2]}, true, nil
	case 2:
		return entry{stream: fields[1], free: fields[1] == 0}, true, nil
	}
	// Types of later versions too: the object counts as absent.
	return entry{free: true, offset: fields[1]}, true, nil
}
