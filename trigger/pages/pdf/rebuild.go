package pdf

import (
	"bytes"
	"cmp"
	"slices"

	"pullprint/trigger/pages/document"
)

// maxScan is the size up to which a file is searched for objects, which reads all of it.
const maxScan = 32 << 20

// located is where an object is: at an offset in the file or, if stream is not 0, in the object
// stream of that number at that offset. A doubtful offset is stored as ^at, and can't be read.
type located struct{ number, at, stream int64 }

const (
	locatedSize = 24
	trailerSize = 8
)

// place returns the offset, doubtful or not.
func (l located) place() int64 { return max(l.at, ^l.at) }

// rebuilt is a cross-reference made of the objects that were found in a file. Of several
// objects of a number the last one counts, because updates are appended and end with a trailer.
// If there is no trailer between two, one of the numbers is damaged, and the place is doubtful.
type rebuilt []located

// of returns the place of an object; nil if there is none.
func (l rebuilt) of(number int64) *located {
	i, found := slices.BinarySearchFunc(l, number, func(a located, n int64) int { return cmp.Compare(a.number, n) })
	if !found {
		return nil
	}
	return &l[i]
}

func (l rebuilt) find(_ *file, number int64) (entry, bool, error) {
	at := l.of(number)
	switch {
	case at == nil:
		return entry{}, false, nil
	case at.stream != 0:
		return entry{stream: at.stream}, true, nil
	}
	return entry{offset: at.at}, true, nil
}

// search reads a file from its beginning to find its objects.
type search struct {
	f     *file
	p     *parser
	found []located
	// packed are the object streams, in the order of the file.
	packed []located
	// root is the last catalog; it counts if no trailer names one. several says that there are
	// catalogs of different numbers.
	root    located
	several bool
	// rootless says that the last trailer names no root.
	rootless bool
	// object is the offset of the last object, trailer that of the last trailer.
	object, trailer int64
	// trailers are the offsets of all trailers.
	trailers []int64
	// marks are the offsets after the last maxMarks occurrences of startxref.
	marks []int64
	buf   []byte
}

// rebuild makes a new cross-reference for a file whose own is wrong. It returns the offsets
// after the last maxMarks occurrences of startxref, as far as it has read the file.
func (f *file) rebuild() ([]int64, error) {
	s := &search{f: f, p: parserAt(f.r, f.b, 0, f.size), trailer: -1, rootless: true}
	err := s.rebuild()
	return s.marks, err
}

func (s *search) rebuild() error {
	f := s.f
	if f.size > maxScan {
		return document.ErrDamaged
	}
	tables, shift := f.tables(), f.shift
	f.streams.forget()
	f.b.Clear()
	f.sections, f.trailer, f.crypt, f.rebuilt = nil, dict{}, nil, true
	f.streams.known, f.shift, f.streamsFound = nil, 0, 0
	if err := s.run(); err != nil {
		return err
	}
	if s.trailer >= 0 && s.object > s.trailer {
		return document.ErrDamaged // an update that was cut off: what it contained is not known
	}
	s.order()
	f.sections = []section{rebuilt(s.found)}
	if err := s.unpack(); err != nil {
		return err
	}
	s.order()
	f.sections = []section{rebuilt(s.found)}
	if err := s.compare(); err != nil {
		return err
	}
	if err := s.compareTables(tables, shift); err != nil {
		return err
	}
	return s.findRoot()
}

// order sorts what was found by number, and keeps the last object of each.
func (s *search) order() {
	slices.SortStableFunc(s.found, func(a, b located) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.place(), b.place()))
	})
	out := s.found[:0]
	for _, l := range s.found {
		n := len(out) - 1
		if n < 0 || out[n].number != l.number {
			out = append(out, l)
			continue
		}
		if last := out[n]; l.at >= 0 && !s.ended(last.place(), l.at) && (last.at < 0 || last.at != l.at) {
			l.at, l.stream = ^l.at, 0
		}
		out[n] = l
	}
	s.found = out
}

// ended reports whether there is a trailer between two offsets.
func (s *search) ended(from, to int64) bool {
	i, _ := slices.BinarySearch(s.trailers, from)
	return i < len(s.trailers) && s.trailers[i] <= to
}

func (s *search) add(l located) error {
	if err := s.f.b.Hold(2 * locatedSize); err != nil { // a slice grows by doubling
		return err
	}
	s.found = append(s.found, l)
	return nil
}

// run finds objects and trailers, except inside streams.
func (s *search) run() error {
	p := s.p
	fresh := true // whether a token may begin here
	for n := int64(1); ; n++ {
		if n%chunk == 0 {
			if err := s.f.b.Work(chunk); err != nil {
				return err
			}
		}
		b, ok := p.next()
		if !ok {
			return nil
		}
		digit := b >= '0' && b <= '9'
		if !fresh || (!digit && b != 't' && b != 's' && b != '+') {
			fresh = space(b) || delimiter(b)
			continue
		}
		fresh = false
		at := p.at - 1
		ahead, _ := p.r.Peek(headingMost)
		var err error
		switch {
		case digit && isHeading(ahead):
			p.seek(at)
			err = s.heading(at)
			fresh = true
		case bytes.Contains(ahead, []byte("obj")) && oddHeading.Match(ahead):
			return document.ErrDiffer
		case b == 't' && bytes.HasPrefix(ahead, []byte("railer")):
			p.seek(at + int64(len("trailer")))
			err = s.trailerAt(at)
			fresh = true
		case b == 's' && bytes.HasPrefix(ahead, []byte("tartxref")):
			s.mark(at + int64(len("startxref")))
		}
		if err != nil {
			return err
		}
	}
}

// stream continues after a stream.
func (s *search) stream(st *stream, at, mark int64) error {
	f := s.f
	switch st.dict["Type"] {
	case name("ObjStm"):
		if err := f.b.Hold(2 * locatedSize); err != nil {
			return err
		}
		s.packed = append(s.packed, located{number: st.number, at: at})
	case name("XRef"):
		f.streamsFound++
		if err := s.merge(st.dict, at); err != nil {
			return err
		}
		mark = f.b.Mark()
	}
	if _, indirect := st.dict["Length"].(ref); indirect {
		st.dict["Length"] = nil // that object may not be found yet
	}
	length, err := f.extent(st)
	if err != nil {
		return err
	}
	f.b.Reset(mark)
	s.p.seek(st.at + length)
	return nil
}

func (s *search) trailerAt(at int64) error {
	behind := s.p.at
	v, err := s.p.value()
	if document.IsFinal(err) {
		return err
	}
	d, ok := v.(dict)
	if err != nil || !ok {
		s.p.seek(behind)
		return nil
	}
	return s.merge(d, at)
}

// merge lets a trailer override those before.
func (s *search) merge(d dict, at int64) error {
	if err := d.once("Root", "Encrypt"); err != nil {
		return err
	}
	if err := s.f.b.Hold(2 * trailerSize); err != nil { // a slice grows by doubling
		return err
	}
	s.trailer, s.trailers = at, append(s.trailers, at)
	s.rootless = d["Root"] == nil
	for _, k := range []string{"Root", "Encrypt", "ID"} {
		if d[k] != nil {
			s.f.trailer[k] = d[k]
		}
	}
	return nil
}

// unpack finds the objects in object streams. They count at the offset of their stream, if that
// is the last of its number.
func (s *search) unpack() error {
	f := s.f
	for _, l := range s.packed {
		e, err := f.lookup(l.number)
		if err != nil {
			return err
		}
		if e.offset < 0 {
			return document.ErrDamaged
		}
		if e.offset != l.at {
			continue // a later object replaces it
		}
		o, err := f.objectStream(l.number)
		if err != nil {
			return err
		}
		for _, p := range o.at {
			in := located{number: p.number, at: l.at, stream: l.number}
			if err := s.add(in); err != nil {
				return err
			}
			if s.rootless {
				if err := s.packedCatalog(o, p, in); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
