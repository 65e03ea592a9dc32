package pages

import (
	"bufio"
	"encoding/ascii85"
	"io"
)

// maxFilters limits how often a stream is encoded. Producers encode it at most twice.
const maxFilters = 8

// filter is one encoding of a stream, with its parameters.
type filter struct {
	name  name
	parms dict
}

// filters returns those of a stream, in the order in which they are undone.
func (f *file) filters(d dict) ([]filter, error) {
	names, err := f.listOf(d["Filter"])
	if err != nil {
		return nil, err
	}
	parms, err := f.listOf(d["DecodeParms"])
	if err != nil {
		return nil, err
	}
	var list []filter
	for i, v := range names {
		n, ok := v.(name)
		if !ok {
			return nil, ErrDamaged
		}
		l := filter{name: n}
		if i < len(parms) {
			l.parms, _ = parms[i].(dict)
		}
		list = append(list, l)
	}
	return list, nil
}

// listOf returns one value or several, with references resolved.
func (f *file) listOf(v any) ([]any, error) {
	v, err := f.resolve(v)
	if err != nil || v == nil {
		return nil, err
	}
	list, ok := v.(array)
	if !ok {
		return []any{v}, nil
	}
	if len(list) > maxFilters {
		return nil, ErrDamaged
	}
	out := make([]any, len(list))
	for i := range list {
		if out[i], err = f.resolve(list[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// reader undoes a filter (ISO 32000-2, 7.4).
func (l filter) reader(r io.Reader) (io.Reader, error) {
	switch l.name {
	case "Crypt": // decrypter.stream has handled it
		return r, nil
	case "ASCIIHexDecode", "AHx":
		return &hexReader{r: bufio.NewReader(r)}, nil
	case "ASCII85Decode", "A85":
		return ascii85.NewDecoder(&until{r: bufio.NewReader(r), end: '~'}), nil
	case "RunLengthDecode", "RL":
		return &runs{r: bufio.NewReader(r)}, nil
	case "LZWDecode", "LZW":
		early := l.parms["EarlyChange"] != int64(0)
		return l.unpredicted(&lzwReader{r: bufio.NewReader(r), early: early})
	case "FlateDecode", "Fl":
		b := bufio.NewReader(r)
		head := make([]byte, 2)
		if _, err := io.ReadFull(b, head); err != nil || head[0]&0x0f != 8 || head[1]&0x20 != 0 {
			return nil, ErrDamaged
		}
		return l.unpredicted(newChecked(b))
	}
	return nil, ErrDamaged // no producer uses another for these streams
}

// early returns the error for an end of data before the end mark of the filter.
func early(err error) error {
	if isBudget(err) {
		return err
	}
	return io.ErrUnexpectedEOF
}

// until reads up to a byte.
type until struct {
	r    *bufio.Reader
	end  byte
	done bool
}

// Read implements io.Reader.
func (u *until) Read(p []byte) (n int, err error) {
	for n < len(p) && !u.done {
		b, err := u.r.ReadByte()
		if err != nil {
			return n, early(err)
		}
		if u.done = b == u.end; !u.done {
			p[n], n = b, n+1
		}
	}
	if n == 0 && u.done {
		return 0, io.EOF
	}
	return n, nil
}

type hexReader struct {
	r    *bufio.Reader
	done bool
}

// Read implements io.Reader.
func (h *hexReader) Read(p []byte) (n int, err error) {
	for n < len(p) && !h.done {
		var v byte
		digits := 0
		for digits < 2 {
			b, err := h.r.ReadByte()
			if err != nil {
				return n, early(err)
			}
			if b == '>' {
				h.done = true
				break
			}
			if d, ok := hexDigit(b); ok {
				v, digits = v<<4|d, digits+1
			}
		}
		if digits == 1 {
			v <<= 4
		}
		if digits > 0 {
			p[n], n = v, n+1
		}
	}
	if n == 0 && h.done {
		return 0, io.EOF
	}
	return n, nil
}

// runs decodes RunLengthDecode.
type runs struct {
	r    *bufio.Reader
	left int
	same bool
	b    byte
	// ended says that the end mark was read.
	ended bool
}

const endOfRuns = 128

// Read implements io.Reader.
func (u *runs) Read(p []byte) (n int, err error) {
	if u.ended {
		return 0, io.EOF
	}
	for n < len(p) {
		if u.left == 0 {
			l, err := u.r.ReadByte()
			if err != nil {
				return n, early(err)
			}
			if l == endOfRuns {
				u.ended = true
				return n, io.EOF
			}
			if u.same = l > endOfRuns; u.same {
				u.left = 257 - int(l)
				if u.b, err = u.r.ReadByte(); err != nil {
					return n, early(err)
				}
			} else {
				u.left = int(l) + 1
			}
		}
		b := u.b
		if !u.same {
			if b, err = u.r.ReadByte(); err != nil {
				return n, early(err)
			}
		}
		p[n], n, u.left = b, n+1, u.left-1
	}
	return n, nil
}

// maxRow limits a row of a predictor; rows of the streams that are read here are as long as a
// cross-reference entry.
const maxRow = 1 << 16

// unpredicted undoes the predictor of a filter, row by row (ISO 32000-2, 7.4.4.4).
func (l filter) unpredicted(r io.Reader) (io.Reader, error) {
	number := func(key string, otherwise int64) int64 {
		if n, ok := l.parms[key].(int64); ok {
			return n
		}
		return otherwise
	}
	predictor := number("Predictor", 1)
	if predictor <= 1 {
		return r, nil
	}
	columns, colors, bits := number("Columns", 1), number("Colors", 1), number("BitsPerComponent", 8)
	if columns < 1 || columns > maxRow || colors < 1 || colors > 32 || bits < 1 || bits > 16 {
		return nil, ErrDamaged
	}
	width := (columns*colors*bits + 7) / 8
	if width > maxRow || (predictor < 10 && (predictor != 2 || bits != 8)) {
		return nil, ErrDamaged
	}
	return &rows{
		r: bufio.NewReader(r), png: predictor >= 10, pixel: int(max(colors*bits/8, 1)),
		row: make([]byte, width), above: make([]byte, width),
	}, nil
}

// rows undoes a predictor.
type rows struct {
	r          *bufio.Reader
	png        bool
	pixel      int
	row, above []byte
	out        []byte
}

// Read implements io.Reader.
func (w *rows) Read(p []byte) (int, error) {
	if len(w.out) == 0 {
		kind := byte(1) // TIFF always predicts from the left
		var err error
		if w.png {
			if kind, err = w.r.ReadByte(); err != nil {
				return 0, err
			}
		}
		w.row, w.above = w.above, w.row
		n, err := io.ReadFull(w.r, w.row)
		if n == 0 {
			return 0, err
		}
		if !w.undo(kind, n) {
			return 0, ErrDamaged
		}
		w.out = w.row[:n]
	}
	n := copy(p, w.out)
	w.out = w.out[n:]
	return n, nil
}

func (w *rows) undo(kind byte, n int) bool {
	for i := range w.row[:n] {
		var left, corner byte
		if i >= w.pixel {
			left, corner = w.row[i-w.pixel], w.above[i-w.pixel]
		}
		up := w.above[i]
		switch kind {
		case 0:
		case 1:
			w.row[i] += left
		case 2:
			w.row[i] += up
		case 3:
			w.row[i] += byte((int(left) + int(up)) / 2) //nolint:gosec // at most 255
		case 4:
			w.row[i] += paeth(left, up, corner)
		default:
			return false
		}
	}
	return true
}

// paeth returns which of three neighbours is nearest to the value that they predict.
func paeth(left, up, corner byte) byte {
	p := int(left) + int(up) - int(corner)
	dl, du, dc := abs(p-int(left)), abs(p-int(up)), abs(p-int(corner))
	switch {
	case dl <= du && dl <= dc:
		return left
	case du <= dc:
		return up
	}
	return corner
}

func abs(n int) int { return max(n, -n) }
