package pdf

import (
	"bufio"
	"encoding/ascii85"
	"io"

	"pullprint/trigger/pages/document"
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
			return nil, document.ErrDamaged
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
		return nil, document.ErrDamaged
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
		return unhexed(bufio.NewReader(r)), nil
	case "ASCII85Decode", "A85":
		return ascii85.NewDecoder(until(bufio.NewReader(r), '~')), nil
	case "RunLengthDecode", "RL":
		return runs(bufio.NewReader(r)), nil
	case "LZWDecode", "LZW":
		z := &lzw{r: bufio.NewReader(r), early: l.parms["EarlyChange"] != int64(0), next: lzwEnd + 1, last: -1}
		return l.unpredicted(document.Produced(z.decode))
	case "FlateDecode", "Fl":
		b := bufio.NewReader(r)
		head := make([]byte, 2)
		if _, err := io.ReadFull(b, head); err != nil || head[0]&0x0f != 8 || head[1]&0x20 != 0 {
			return nil, document.ErrDamaged
		}
		return l.unpredicted(newChecked(b))
	}
	return nil, document.ErrDamaged // no producer uses another for these streams
}

// early returns the error for an end of data before the end mark of the filter.
func early(err error) error {
	if document.IsFinal(err) {
		return err
	}
	return io.ErrUnexpectedEOF
}

// until reads up to a byte.
func until(r *bufio.Reader, end byte) io.Reader {
	var buf [1]byte
	return document.Produced(func() ([]byte, error) {
		b, err := r.ReadByte()
		switch {
		case err != nil:
			return nil, early(err)
		case b == end:
			return nil, io.EOF
		}
		buf[0] = b
		return buf[:], nil
	})
}

// unhexed decodes ASCIIHexDecode: pairs of digits, the last of which may lack its second one.
func unhexed(r *bufio.Reader) io.Reader {
	var buf [1]byte
	return document.Produced(func() ([]byte, error) {
		buf[0] = 0
		for digits := 0; digits < 2; {
			b, err := r.ReadByte()
			switch d, ok := hexDigit(b); {
			case err != nil:
				return nil, early(err)
			case b == '>' && digits == 0:
				return nil, io.EOF
			case b == '>':
				buf[0] <<= 4
				return buf[:], io.EOF
			case ok:
				buf[0], digits = buf[0]<<4|d, digits+1
			}
		}
		return buf[:], nil
	})
}

const endOfRuns = 128

// runs decodes RunLengthDecode.
func runs(r *bufio.Reader) io.Reader {
	var buf [endOfRuns + 1]byte
	return document.Produced(func() ([]byte, error) {
		l, err := r.ReadByte()
		n := int(l) + 1 // bytes follow
		switch {
		case err != nil:
			return nil, early(err)
		case l == endOfRuns:
			return nil, io.EOF
		case l > endOfRuns: // one byte follows, that many times
			b, err := r.ReadByte()
			if err != nil {
				return nil, early(err)
			}
			out := buf[:257-int(l)]
			for i := range out {
				out[i] = b
			}
			return out, nil
		}
		if n, err = io.ReadFull(r, buf[:n]); err != nil {
			err = early(err)
		}
		return buf[:n], err
	})
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
		return nil, document.ErrDamaged
	}
	width := (columns*colors*bits + 7) / 8
	if width > maxRow || (predictor < 10 && (predictor != 2 || bits != 8)) {
		return nil, document.ErrDamaged
	}
	w := &rows{
		r: bufio.NewReader(r), png: predictor >= 10, pixel: int(max(colors*bits/8, 1)),
		row: make([]byte, width), above: make([]byte, width),
	}
	return document.Produced(w.next), nil
}

// rows undoes a predictor.
type rows struct {
	r          *bufio.Reader
	png        bool
	pixel      int
	row, above []byte
}

// next returns the next row; the last one may be shorter.
func (w *rows) next() ([]byte, error) {
	kind := byte(1) // TIFF always predicts from the left
	var err error
	if w.png {
		if kind, err = w.r.ReadByte(); err != nil {
			return nil, err
		}
	}
	w.row, w.above = w.above, w.row
	n, err := io.ReadFull(w.r, w.row)
	if n == 0 {
		return nil, err
	}
	if !w.undo(kind, n) {
		return nil, document.ErrDamaged
	}
	return w.row[:n], nil
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
