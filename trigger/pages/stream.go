package pages

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
)

// maxStream bounds what a stream may hold, compressed and not; maxStreams how
// many are remembered.
const (
	maxStream  = 32 << 20
	maxStreams = 64
)

// stream is a stream object: its dictionary, and where its data is.
type stream struct {
	dict dict
	at   int64
}

// streamAt reads the head of a stream object.
func (f *file) streamAt(off int64) (*stream, error) {
	p := parserAt(f.r, off, f.size)
	if _, ok := p.heading(); !ok {
		return nil, ErrDamaged
	}
	v, err := p.object(0)
	d, ok := v.(dict)
	if err != nil || !ok {
		return nil, ErrDamaged
	}
	if v, err = p.object(0); err != nil || v != word("stream") {
		return nil, ErrDamaged
	}
	if b, ok := p.next(); ok && b == '\r' { // then a line feed
		if b, ok = p.next(); ok && b != '\n' {
			p.back()
		}
	} else if ok && b != '\n' {
		p.back()
	}
	return &stream{d, p.at}, nil
}

// data is what a stream holds, decoded.
func (f *file) data(s *stream) ([]byte, error) {
	v, err := f.resolve(s.dict["Length"])
	if err != nil {
		return nil, err
	}
	length, ok := v.(int64)
	if !ok || length < 0 || length > maxStream || s.at+length > f.size {
		return nil, ErrDamaged
	}
	filter, parms, err := f.filterOf(s.dict)
	if err != nil {
		return nil, err
	}
	raw := io.Reader(io.NewSectionReader(f.r, s.at, length))
	switch filter {
	case "":
	case "FlateDecode", "Fl":
		z, err := zlib.NewReader(raw)
		if err != nil {
			return nil, ErrDamaged
		}
		defer z.Close()
		raw = z
	default:
		return nil, ErrDamaged // no producer writes these streams so
	}
	data, err := io.ReadAll(io.LimitReader(raw, maxStream+1))
	if err != nil && (len(data) == 0 || !errors.Is(err, io.ErrUnexpectedEOF)) || len(data) > maxStream {
		return nil, ErrDamaged
	}
	return unpredicted(data, parms)
}

// filterOf is the one filter of a stream, with its parameters.
func (f *file) filterOf(d dict) (name, dict, error) {
	one := func(key, short string) (any, error) {
		v := d[key]
		if v == nil {
			v = d[short]
		}
		v, err := f.resolve(v)
		if list, ok := v.(array); ok && err == nil {
			if len(list) > 1 {
				return nil, ErrDamaged
			}
			if v = nil; len(list) == 1 {
				return f.resolve(list[0])
			}
		}
		return v, err
	}
	filter, err := one("Filter", "F")
	if err != nil {
		return "", nil, err
	}
	parms, err := one("DecodeParms", "DP")
	if err != nil {
		return "", nil, err
	}
	n, _ := filter.(name)
	p, _ := parms.(dict)
	return n, p, nil
}

// unpredicted takes the prediction of a row out of a row (ISO 32000-2, 7.4.4.4).
func unpredicted(data []byte, parms dict) ([]byte, error) {
	predictor, _ := parms["Predictor"].(int64)
	if predictor <= 1 {
		return data, nil
	}
	columns, ok := parms["Columns"].(int64)
	if !ok {
		columns = 1
	}
	if predictor < 10 || columns < 1 || columns > 1<<16 || parms["Colors"] != nil && parms["Colors"] != int64(1) || parms["BitsPerComponent"] != nil && parms["BitsPerComponent"] != int64(8) {
		return nil, ErrDamaged
	}
	width := int(columns)
	out := make([]byte, 0, len(data))
	above := make([]byte, width)
	for len(data) > width {
		kind, row := data[0], append([]byte(nil), data[1:1+width]...)
		data = data[1+width:]
		for i := range row {
			var left, corner byte
			if i > 0 {
				left, corner = row[i-1], above[i-1]
			}
			up := above[i]
			switch kind {
			case 0:
			case 1:
				row[i] += left
			case 2:
				row[i] += up
			case 3:
				row[i] += byte((int(left) + int(up)) / 2) //nolint:gosec // at most 255
			case 4:
				row[i] += paeth(left, up, corner)
			default:
				return nil, ErrDamaged
			}
		}
		out = append(out, row...)
		above = row
	}
	return out, nil
}

// paeth is which of three neighbours is nearest to what they foretell.
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

// xrefSection is a cross-reference stream.
type xrefSection struct {
	data   []byte
	widths [3]int
	index  []subsection // at is the row with which it begins
}

func (f *file) xrefStream(s *stream) (dict, error) {
	data, err := f.data(s)
	if err != nil {
		return nil, err
	}
	x := &xrefSection{data: data}
	w, ok := s.dict["W"].(array)
	if !ok || len(w) < 3 {
		return nil, ErrDamaged
	}
	for i := range x.widths {
		n, ok := w[i].(int64)
		if !ok || n < 0 || n > 8 {
			return nil, ErrDamaged
		}
		x.widths[i] = int(n)
	}
	size, _ := s.dict["Size"].(int64)
	list, ok := s.dict["Index"].(array)
	if !ok {
		list = array{int64(0), size}
	}
	row := int64(0)
	for i := 0; i+1 < len(list); i += 2 {
		first, ok := list[i].(int64)
		count, ok2 := list[i+1].(int64)
		if !ok || !ok2 || first < 0 || count < 0 {
			return nil, ErrDamaged
		}
		x.index = append(x.index, subsection{first, count, row})
		if row += count; row < 0 || row > maxStream {
			return nil, ErrDamaged
		}
	}
	f.sections = append(f.sections, x)
	return s.dict, nil
}

func (x *xrefSection) find(_ *file, number int64) (entry, bool, error) {
	width := x.widths[0] + x.widths[1] + x.widths[2]
	for _, s := range x.index {
		if number < s.first || number-s.first >= s.count {
			continue
		}
		at := (s.at + number - s.first) * int64(width)
		if width == 0 || at < 0 || at+int64(width) > int64(len(x.data)) {
			return entry{}, false, ErrDamaged
		}
		row := x.data[at : at+int64(width)]
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
		case 0:
			return entry{free: true}, true, nil
		case 1:
			return entry{offset: fields[1]}, true, nil
		case 2:
			return entry{stream: fields[1], index: fields[2]}, true, nil
		}
		return entry{free: true}, true, nil // of a later version: as if it weren't there
	}
	return entry{}, false, nil
}

// objectStream is a stream with objects in it.
type objectStream struct {
	data    []byte
	offsets map[int64]int64 // by number, within data
}

// compressed reads an object out of an object stream.
func (f *file) compressed(e entry, number int64) (any, error) {
	if f.trailer["Encrypt"] != nil {
		return nil, ErrEncrypted
	}
	s, err := f.objectStream(e.stream)
	if err != nil {
		return nil, err
	}
	at, ok := s.offsets[number]
	if !ok {
		return nil, ErrDamaged
	}
	return parserAt(bytes.NewReader(s.data), at, int64(len(s.data))).object(0)
}

func (f *file) objectStream(number int64) (*objectStream, error) {
	if s, ok := f.streams[number]; ok {
		if s == nil {
			return nil, ErrDamaged // it is being read: it is in itself
		}
		return s, nil
	}
	f.streams[number] = nil
	s, err := f.readObjectStream(number)
	if err != nil {
		return nil, err
	}
	if len(f.streams) > maxStreams {
		clear(f.streams)
	}
	f.streams[number] = s
	return s, nil
}

func (f *file) readObjectStream(number int64) (*objectStream, error) {
	var found *stream
	for _, sec := range f.sections {
		e, known, err := sec.find(f, number)
		if err != nil {
			return nil, err
		}
		if !known {
			continue
		}
		if e.free || e.stream != 0 {
			return nil, ErrDamaged
		}
		for _, off := range []int64{e.offset + f.shift, e.offset} {
			if s, err := f.streamAt(off); err == nil {
				found = s
				break
			}
		}
		break
	}
	if found == nil {
		return nil, ErrDamaged
	}
	data, err := f.data(found)
	if err != nil {
		return nil, err
	}
	n, _ := found.dict["N"].(int64)
	first, _ := found.dict["First"].(int64)
	if n < 0 || n > maxParts || first < 0 || first > int64(len(data)) {
		return nil, ErrDamaged
	}
	out := &objectStream{data: data, offsets: map[int64]int64{}}
	p := parserAt(bytes.NewReader(data), 0, first)
	for range n {
		num, ok := p.pair()
		at, ok2 := p.pair()
		if !ok || !ok2 || at < 0 || first+at > int64(len(data)) {
			return nil, ErrDamaged
		}
		out.offsets[num] = first + at
	}
	return out, nil
}

// pair reads one whole number of a list; 1 0 R in it is no reference.
func (p *parser) pair() (int64, bool) {
	if _, ok := p.skip(); !ok {
		return 0, false
	}
	p.back()
	return p.integer()
}
