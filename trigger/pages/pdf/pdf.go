// Package pdf counts the pages of a PDF by walking its page tree to every leaf. It is our own
// reader, because general ones read the whole file: it follows the cross-reference, in tables
// or streams and through updates, to the page tree.
//
// It believes no number that a document states about itself: a leaf counts if it was read and
// is a page. If the cross-reference is wrong, it searches a file of at most maxScan bytes for
// objects, as other readers do. What other readers may count differently is an error. Memory
// and work are bounded by the document.Budget; depths, updates and rows by constants.
package pdf

import (
	"bytes"
	"cmp"
	"errors"

	"pullprint/trigger/pages/document"
)

// How far from its ends the marks of a file are searched for. ISO 32000-1 (annex H) tells
// readers to search the first and last 1,024 bytes; spoolers and mail add more around a file.
const (
	HeaderWithin = 1024
	tailWindow   = 4096
	tailLast     = 1024
	tailMost     = 1 << 20
)

// file is a PDF that is being read.
type file struct {
	r        *document.Reader
	b        *document.Budget
	size     int64
	shift    int64     // bytes before the header, to add to all offsets
	sections []section // of the cross-reference, the newest first
	trailer  dict
	streams  objectStreams
	crypt    *decrypter
	// streamSections are the offsets of the cross-reference streams that were read.
	streamSections map[int64]bool
	// rebuilt says that the file was searched for objects; streamsFound is how many
	// cross-reference streams that found.
	rebuilt      bool
	streamsFound int
}

// Count counts the pages of a PDF of a size.
func Count(r *document.Reader, b *document.Budget, size int64) (int, error) {
	f := &file{r: r, b: b, size: size, trailer: dict{}, streamSections: map[int64]bool{}}
	f.streams.b = b
	f.head()
	start, err := f.start()
	if err == nil {
		err = f.crossReference(start)
	}
	if err == nil {
		err = f.verify()
	}
	n := 0
	var lost missing
	if err == nil {
		n, lost, err = f.countTree()
	}
	switch {
	case err == nil:
		if err := f.confirm(lost); err != nil {
			return 0, err
		}
		return n, nil
	case document.IsFinal(err), errors.Is(err, document.ErrEncrypted), errors.Is(err, errEmpty), errors.Is(err, errFree),
		errors.Is(err, document.ErrDiffer):
		return 0, err
	}
	// Other readers search a file whose cross-reference is wrong, too.
	head := f.shift
	marks, rerr := f.rebuild()
	if rerr != nil {
		return 0, rerr
	}
	if n, _, err = f.countTree(); err != nil {
		return 0, err
	}
	return n, f.against(marks, head, n)
}

// head finds how many bytes precede the PDF.
func (f *file) head() {
	buf := make([]byte, min(HeaderWithin, f.size))
	n, _ := f.r.ReadAt(buf, 0)
	if i := bytes.Index(buf[:n], []byte("%PDF-")); i > 0 {
		f.shift = int64(i)
	}
}

// start returns the offset of the newest cross-reference. Objects after the last startxref
// belong to an update that was cut off, whose startxref is that of the file before; or they are
// something that all readers ignore.
func (f *file) start() (int64, error) {
	mark := []byte("startxref")
	for window := int64(tailWindow); ; window *= 4 {
		window = min(window, f.size)
		if err := f.b.Hold(window); err != nil {
			return 0, err
		}
		buf := make([]byte, window)
		n, _ := f.r.ReadAt(buf, f.size-window)
		buf = buf[:n]
		i := bytes.LastIndex(buf, mark)
		var behind []byte
		if i >= 0 {
			behind = buf[i+len(mark):]
		}
		unfinished := bytes.Contains(behind, []byte("obj")) || bytes.Contains(behind, []byte("trailer")) ||
			bytes.Contains(behind, []byte("xref"))
		unfinished = unfinished && !ignored(behind)
		f.b.Free(window)
		switch {
		case unfinished:
			return 0, document.ErrDamaged
		case i >= 0:
			t, err := parserAt(f.r, f.b, f.size-window+int64(i+len(mark)), f.size).token()
			at, ok := t.(int64)
			if err != nil || !ok {
				return 0, document.ErrDamaged
			}
			return at, nil
		case window == f.size || window >= tailMost:
			return 0, document.ErrDamaged
		}
	}
}

// ignored reports whether PDF readers agree to ignore what follows the last startxref, which
// they search for in the last 1,024 bytes: objects and a trailer without a cross-reference. An
// update that was cut off has no trailer, or a cross-reference before it; one that lost its
// cross-reference has a trailer that names the one before.
func ignored(behind []byte) bool {
	if len(behind)+len("startxref") > tailLast || !bytes.Contains(behind, []byte("trailer")) {
		return false
	}
	for _, w := range []string{"xref", "XRef", "Prev"} {
		if bytes.Contains(behind, []byte(w)) {
			return false
		}
	}
	return true
}

// lookup returns where an object is, from the newest section that lists it.
func (f *file) lookup(number int64) (entry, error) {
	for _, s := range f.sections {
		if err := f.b.Work(findWork); err != nil {
			return entry{}, err
		}
		e, known, err := s.find(f, number)
		if err != nil {
			return entry{}, err
		}
		if known {
			return e, nil
		}
	}
	return entry{unlisted: true}, nil
}

// several reports whether more than one section lists an object.
func (f *file) several(number int64) (bool, error) {
	n := 0
	for _, s := range f.sections {
		if err := f.b.Work(findWork); err != nil {
			return false, err
		}
		_, known, err := s.find(f, number)
		if err != nil {
			return false, err
		}
		if known {
			n++
		}
	}
	return n > 1, nil
}

// object reads the object of a reference; nil if there is none. All readers use the only object
// of a number, whatever its generation; of several, some use the last, others none, or the one
// of the generation.
func (f *file) object(r ref) (any, error) {
	e, err := f.lookup(r.number)
	switch {
	case err != nil:
		return nil, err
	case e.free, e.unlisted:
		return nil, nil
	}
	if e.generation != r.generation && !f.rebuilt {
		if several, err := f.several(r.number); err != nil || several {
			return nil, cmp.Or(err, document.ErrDiffer)
		}
	}
	if e.stream != 0 {
		return f.compressed(e, r.number)
	}
	return f.objectAt(e.offset, r)
}

// objectAt reads an object and checks its number. Offsets may count from the header or from the
// beginning of the file.
func (f *file) objectAt(at int64, r ref) (any, error) {
	for _, off := range f.places(at) {
		p := parserAt(f.r, f.b, off, f.size)
		if number, generation, ok := p.heading(); ok && number == r.number {
			if f.rebuilt && generation != r.generation {
				return nil, document.ErrDiffer
			}
			return p.value()
		}
		if document.IsFinal(p.failed) {
			return nil, p.failed
		}
	}
	return nil, document.ErrDamaged
}

// places returns where an offset may point to.
func (f *file) places(at int64) []int64 {
	var list []int64
	if off := at + f.shift; at >= 0 && off >= 0 && off < f.size {
		list = append(list, off)
	}
	if f.shift != 0 && at >= 0 && at < f.size {
		list = append(list, at)
	}
	return list
}

// resolve follows references.
func (f *file) resolve(v any) (any, error) {
	for range maxDepth {
		r, ok := v.(ref)
		if !ok {
			return v, nil
		}
		var err error
		if v, err = f.object(r); err != nil {
			return nil, err
		}
	}
	return nil, document.ErrDamaged
}

func (f *file) dictOf(v any) (dict, error) {
	v, err := f.resolve(v)
	if err != nil {
		return nil, err
	}
	d, ok := v.(dict)
	if !ok {
		return nil, document.ErrDamaged
	}
	return d, nil
}
