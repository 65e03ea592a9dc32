package pages

import (
	"bytes"
	"io"
	"strconv"
)

// The bounds of a file: how far from its ends marks are looked for, how many
// cross-reference sections, object streams and nodes of the page tree are read.
const (
	headWindow  = 1024
	tailWindow  = 4096
	tailMost    = 64 << 10
	maxSections = 1000
	maxNodes    = 50_000
	maxTree     = 60
)

// file is a PDF that is read.
type file struct {
	r        io.ReaderAt
	size     int64
	shift    int64     // of all offsets: bytes before the head
	sections []section // of the cross-reference, the newest first
	trailer  dict
	streams  map[int64]*objectStream
	resolves int
}

// section is a part of the cross-reference.
type section interface {
	// find tells where an object is; known is false when the section does not say.
	find(f *file, number int64) (e entry, known bool, err error)
}

// entry is where an object is: at an offset, or in an object stream.
type entry struct {
	free   bool
	offset int64
	stream int64 // number of the object stream; 0 is none
	index  int64
}

func countPDF(r io.ReaderAt, size int64) (int, error) {
	f := &file{r: r, size: size, trailer: dict{}, streams: map[int64]*objectStream{}}
	if err := f.head(); err != nil {
		return 0, err
	}
	start, err := f.start()
	if err != nil {
		return 0, err
	}
	if err := f.crossReference(start); err != nil {
		return 0, err
	}
	root, err := f.dictOf(f.trailer["Root"])
	if err != nil {
		return 0, err
	}
	tree, err := f.dictOf(root["Pages"])
	if err != nil {
		return 0, err
	}
	return f.pagesOf(tree)
}

// head finds how many bytes stand before the PDF.
func (f *file) head() error {
	buf := make([]byte, min(headWindow, f.size))
	n, _ := f.r.ReadAt(buf, 0)
	i := bytes.Index(buf[:n], []byte("%PDF-"))
	if i < 0 {
		return ErrDamaged
	}
	f.shift = int64(i)
	return nil
}

// start is the offset of the newest cross-reference.
func (f *file) start() (int64, error) {
	for window := int64(tailWindow); ; window *= 4 {
		window = min(window, f.size)
		buf := make([]byte, window)
		n, _ := f.r.ReadAt(buf, f.size-window)
		if i := bytes.LastIndex(buf[:n], []byte("startxref")); i >= 0 {
			p := parserAt(f.r, f.size-window+int64(i)+int64(len("startxref")), f.size)
			v, err := p.object(0)
			at, ok := v.(int64)
			if err != nil || !ok {
				return 0, ErrDamaged
			}
			return at, nil
		}
		if window == f.size || window >= tailMost {
			return 0, ErrDamaged
		}
	}
}

// crossReference reads the section at an offset and those before it.
func (f *file) crossReference(at int64) error {
	seen := map[int64]bool{}
	queue := []int64{at}
	for len(queue) > 0 {
		at, queue = queue[0], queue[1:]
		if seen[at] {
			continue
		}
		seen[at] = true
		if len(seen) > maxSections {
			return ErrDamaged
		}
		trailer, err := f.sectionAt(at)
		if err != nil {
			return err
		}
		for k, v := range trailer {
			if _, newer := f.trailer[k]; !newer {
				f.trailer[k] = v
			}
		}
		// Of a hybrid file, the stream is looked at before what came earlier.
		for _, key := range []string{"XRefStm", "Prev"} {
			if next, ok := trailer[key].(int64); ok {
				queue = append(queue, next)
			}
		}
	}
	return nil
}

// sectionAt reads one section, table or stream, and its trailer. Offsets may
// count from the head or from the beginning of the file.
func (f *file) sectionAt(at int64) (dict, error) {
	for _, off := range []int64{at + f.shift, at} {
		if off < 0 || off >= f.size {
			continue
		}
		p := parserAt(f.r, off, f.size)
		v, err := p.object(0)
		if err != nil {
			continue
		}
		if v == word("xref") {
			return f.table(p)
		}
		if _, ok := v.(int64); ok {
			s, err := f.streamAt(off)
			if err == nil && s.dict["Type"] == name("XRef") {
				return f.xrefStream(s)
			}
		}
	}
	return nil, ErrDamaged
}

// table is a cross-reference table. Its entries are read when they are needed.
type table struct{ subsections []subsection }

type subsection struct{ first, count, at int64 }

const entrySize = 20

func (f *file) table(p *parser) (dict, error) {
	t := &table{}
	for {
		v, err := p.object(0)
		if err != nil {
			return nil, err
		}
		if v == word("trailer") {
			break
		}
		first, ok := v.(int64)
		v, err = p.object(0)
		count, ok2 := v.(int64)
		if err != nil || !ok || !ok2 || first < 0 || count < 0 || count > f.size/entrySize+1 || len(t.subsections) > maxSections {
			return nil, ErrDamaged
		}
		if _, more := p.skip(); !more {
			return nil, ErrDamaged
		}
		p.back()
		t.subsections = append(t.subsections, subsection{first, count, p.at})
		p = parserAt(f.r, p.at+count*entrySize, f.size)
	}
	v, err := p.object(0)
	d, ok := v.(dict)
	if err != nil || !ok {
		return nil, ErrDamaged
	}
	f.sections = append(f.sections, t)
	return d, nil
}

func (t *table) find(f *file, number int64) (entry, bool, error) {
	for _, s := range t.subsections {
		if number < s.first || number-s.first >= s.count {
			continue
		}
		var line [entrySize]byte
		if n, _ := f.r.ReadAt(line[:], s.at+(number-s.first)*entrySize); n < 18 {
			return entry{}, false, ErrDamaged
		}
		offset, err := strconv.ParseInt(string(line[:10]), 10, 64)
		if err != nil || line[10] != ' ' || (line[17] != 'n' && line[17] != 'f') {
			return entry{}, false, ErrDamaged
		}
		return entry{free: line[17] == 'f', offset: offset}, true, nil
	}
	return entry{}, false, nil
}

// maxResolves bounds how many objects are read for one file.
const maxResolves = 3 * maxNodes

// object reads the object of a number; nil when there is none.
func (f *file) object(number int64) (any, error) {
	if f.resolves++; f.resolves > maxResolves {
		return nil, ErrDamaged
	}
	for _, s := range f.sections {
		e, known, err := s.find(f, number)
		switch {
		case err != nil:
			return nil, err
		case !known:
			continue
		case e.free:
			return nil, nil
		case e.stream != 0:
			return f.compressed(e, number)
		}
		return f.objectAt(e.offset, number)
	}
	return nil, nil
}

// objectAt reads an object and looks whether it is the one.
func (f *file) objectAt(at, number int64) (any, error) {
	for _, off := range []int64{at + f.shift, at} {
		if off <= 0 || off >= f.size {
			continue
		}
		p := parserAt(f.r, off, f.size)
		if got, ok := p.heading(); !ok || got != number {
			continue
		}
		return p.object(0)
	}
	return nil, ErrDamaged
}

// heading reads 12 0 obj.
func (p *parser) heading() (number int64, ok bool) {
	v, err := p.object(0)
	number, ok = v.(int64)
	if err != nil || !ok {
		return 0, false
	}
	v, err = p.object(0)
	if _, ok = v.(int64); err != nil || !ok {
		return 0, false
	}
	v, err = p.object(0)
	return number, err == nil && v == word("obj")
}

// resolve follows references.
func (f *file) resolve(v any) (any, error) {
	for range maxDepth {
		r, ok := v.(ref)
		if !ok {
			return v, nil
		}
		var err error
		if v, err = f.object(r.number); err != nil {
			return nil, err
		}
	}
	return nil, ErrDamaged
}

func (f *file) dictOf(v any) (dict, error) {
	v, err := f.resolve(v)
	if err != nil {
		return nil, err
	}
	d, ok := v.(dict)
	if !ok {
		return nil, ErrDamaged
	}
	return d, nil
}

// pagesOf is how many pages a page tree has: what its root says, or when that
// can't be right, as many as there are.
func (f *file) pagesOf(tree dict) (int, error) {
	count, err := f.resolve(tree["Count"])
	if err != nil {
		return 0, err
	}
	kids, err := f.resolve(tree["Kids"])
	if err != nil {
		return 0, err
	}
	list, ok := kids.(array)
	if n, whole := count.(int64); ok && whole && n > 0 && n <= Most && len(list) > 0 {
		return int(n), nil
	}
	w := walk{f: f, seen: map[int64]bool{}}
	n, err := w.count(tree, 0)
	if err == nil && n == 0 {
		err = ErrDamaged
	}
	return n, err
}

// walk goes through a page tree.
type walk struct {
	f     *file
	nodes int
	seen  map[int64]bool
}

func (w *walk) count(node dict, depth int) (n int, err error) {
	if w.nodes++; w.nodes > maxNodes || depth > maxTree {
		return 0, ErrDamaged
	}
	kids, err := w.f.resolve(node["Kids"])
	if err != nil {
		return 0, err
	}
	list, inner := kids.(array)
	if !inner || node["Type"] == name("Page") {
		return 1, nil
	}
	for _, kid := range list {
		if r, ok := kid.(ref); ok {
			if w.seen[r.number] {
				return 0, ErrDamaged
			}
			w.seen[r.number] = true
		}
		child, err := w.f.resolve(kid)
		if err != nil {
			return 0, err
		}
		d, ok := child.(dict)
		if !ok {
			continue // a kid that isn't there is no page
		}
		more, err := w.count(d, depth+1)
		if err != nil {
			return 0, err
		}
		n += more
	}
	return n, nil
}
