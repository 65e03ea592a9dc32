package pdf

import (
	"bytes"
	"cmp"
	"io"
	"slices"

	"pullprint/trigger/pages/document"
)

// maxStream limits the search for the end of a stream whose Length is wrong.
const maxStream = 32 << 20

// stream is a stream object: its dictionary, and the offset of its data.
type stream struct {
	number, generation int64
	dict               dict
	at                 int64
}

// streamAt reads a stream object up to its data.
func (f *file) streamAt(off int64) (*stream, error) {
	p := parserAt(f.r, f.b, off, f.size)
	number, generation, ok := p.heading()
	if !ok {
		if document.IsFinal(p.failed) {
			return nil, p.failed
		}
		return nil, document.ErrDamaged
	}
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	d, ok := v.(dict)
	if !ok {
		return nil, document.ErrDamaged
	}
	t, err := p.token()
	if err != nil {
		return nil, err
	}
	if t != word("stream") {
		return nil, document.ErrDamaged
	}
	return &stream{number, generation, d, p.data()}, nil
}

// data skips the end of line after the word stream, and returns the offset of the data.
func (p *parser) data() int64 {
	b, ok := p.next()
	for ok && (b == ' ' || b == '\t') { // not allowed, but some producers write it
		b, ok = p.next()
	}
	if ok && b == '\r' {
		if b, ok = p.next(); ok && b != '\n' {
			p.back()
		}
	} else if ok && b != '\n' {
		p.back()
	}
	return p.at
}

var endOfStream = []byte("endstream")

// extent returns the length of the data of a stream: its Length if it ends there, else the
// distance to endstream.
func (f *file) extent(s *stream) (int64, error) {
	v, err := f.resolve(s.dict["Length"])
	if document.IsFinal(err) {
		return 0, err
	}
	if n, ok := v.(int64); err == nil && ok && n >= 0 && n <= f.size-s.at {
		var end [32]byte
		got, _ := f.r.ReadAt(end[:], s.at+n)
		if bytes.HasPrefix(bytes.TrimLeft(end[:got], "\r\n \t"), endOfStream) {
			return n, nil
		}
	}
	end, err := f.index(endOfStream, s.at, min(f.size, s.at+maxStream))
	if err != nil {
		return 0, err
	}
	return end - s.at, nil
}

// chunk is how much is read at a time by a search.
const chunk = 64 << 10

// index returns the first offset of a mark; to if there is none.
func (f *file) index(mark []byte, from, to int64) (int64, error) {
	buf := make([]byte, chunk)
	for from < to {
		n, _ := f.r.ReadAt(buf[:min(chunk, to-from)], from)
		if err := f.b.Work(int64(n)); err != nil {
			return 0, err
		}
		if i := bytes.Index(buf[:n], mark); i >= 0 {
			return from + int64(i), nil
		}
		if n < chunk {
			break
		}
		from += int64(n - len(mark) + 1)
	}
	return to, nil
}

// objectStream is a stream that contains objects.
type objectStream struct {
	data *document.Data
	// at are the offsets of the objects in data, sorted by number.
	at []place
}

type place struct{ number, at int64 }

const placeSize = 16

// objectStreams are those that were read recently.
type objectStreams struct {
	b     *document.Budget
	known map[int64]*objectStream // nil while it is being read
}

// forget frees all but those that are being read.
func (s *objectStreams) forget() {
	for number, o := range s.known {
		if o != nil {
			s.drop(o)
			delete(s.known, number)
		}
	}
}

func (s *objectStreams) drop(o *objectStream) {
	s.b.Free(int64(cap(o.at)) * placeSize)
	s.b.Drop(o.data)
}

// compressed reads an object from an object stream.
func (f *file) compressed(e entry, number int64) (any, error) {
	s, err := f.objectStream(e.stream)
	if err != nil {
		return nil, err
	}
	at, err := s.find(number)
	if err != nil {
		return nil, err
	}
	return parserAt(s.data, f.b, at, s.data.Size()).value()
}

func (f *file) objectStream(number int64) (*objectStream, error) {
	s := &f.streams
	if o, ok := s.known[number]; ok {
		if o == nil {
			return nil, document.ErrDamaged // it contains itself
		}
		return o, nil
	}
	if s.known == nil {
		s.known = map[int64]*objectStream{}
	}
	s.known[number] = nil
	o, err := f.readObjectStream(number)
	if err != nil && document.IsFinal(err) && len(s.known) > 1 {
		s.forget() // without the others it may fit
		o, err = f.readObjectStream(number)
	}
	if err != nil {
		delete(s.known, number)
		return nil, err
	}
	s.known[number] = o
	return o, nil
}

func (f *file) readObjectStream(number int64) (*objectStream, error) {
	e, err := f.lookup(number)
	if err != nil {
		return nil, err
	}
	if e.free || e.unlisted || e.stream != 0 {
		return nil, document.ErrDamaged
	}
	mark := f.b.Mark()
	defer func() { f.b.Reset(mark) }()
	var found *stream
	for _, off := range f.places(e.offset) {
		s, err := f.streamAt(off)
		if document.IsFinal(err) {
			return nil, err
		}
		if err == nil && s.number == number {
			found = s
			break
		}
	}
	if found == nil {
		return nil, document.ErrDamaged
	}
	if err := found.dict.once("N", "First", "Length", "Filter", "DecodeParms"); err != nil {
		return nil, err
	}
	keys, err := f.decrypter()
	if err != nil {
		return nil, err
	}
	r, err := f.decoded(found, keys)
	if err != nil {
		return nil, err
	}
	data, err := f.b.ReadAll(r)
	if err != nil {
		if data != nil {
			f.b.Drop(data)
		}
		return nil, err
	}
	o := &objectStream{data: data}
	if err := f.contents(o, found.dict); err != nil {
		f.streams.drop(o)
		return nil, err
	}
	return o, nil
}

// contents reads the offsets of the objects in an object stream.
func (f *file) contents(o *objectStream, d dict) error {
	n, _ := d["N"].(int64)
	first, _ := d["First"].(int64)
	if n < 0 || n > o.data.Size() || first < 0 || first > o.data.Size() {
		return document.ErrDamaged
	}
	if err := f.b.Hold(n * placeSize); err != nil {
		return err
	}
	o.at = make([]place, 0, n)
	p := parserAt(o.data, f.b, 0, first)
	for range n {
		number, err := p.token()
		if err != nil {
			return err
		}
		at, err := p.token()
		if err != nil {
			return err
		}
		num, ok := number.(int64)
		off, ok2 := at.(int64)
		if !ok || !ok2 || off < 0 || off > o.data.Size()-first {
			return document.ErrDamaged
		}
		o.at = append(o.at, place{num, first + off})
	}
	slices.SortFunc(o.at, func(a, b place) int { return cmp.Compare(a.number, b.number) })
	return nil
}

// decoded returns the decoded data of a stream, decrypted if keys is not nil.
func (f *file) decoded(s *stream, keys *decrypter) (io.Reader, error) {
	length, err := f.extent(s)
	if err != nil {
		return nil, err
	}
	filters, err := f.filters(s.dict)
	if err != nil {
		return nil, err
	}
	r := io.Reader(f.b.Metered(io.NewSectionReader(f.r, s.at, length)))
	if keys != nil {
		if r, err = keys.stream(r, s, filters); err != nil {
			return nil, err
		}
	}
	for _, l := range filters {
		if r, err = l.reader(r); err != nil {
			return nil, err
		}
		r = f.b.Metered(r)
	}
	return r, nil
}
