package pdf

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"

	"pullprint/trigger/pages/document"
)

// maxSections limits the chain of updates of a file. Each costs a read; a file that is saved
// every day for 27 years has as many.
const maxSections = 10_000

// findWork is how much work a lookup in one section counts.
const findWork = 64

// section is a part of the cross-reference.
type section interface {
	// find returns where an object is; known is false if the section does not list it.
	find(f *file, number int64) (e entry, known bool, err error)
}

// entry is where an object is: at an offset, or in an object stream. The offset of a free one
// is the number of the next free object.
type entry struct {
	free bool
	// unlisted says that no section lists the object.
	unlisted bool
	offset   int64
	// generation is that of an object at an offset.
	generation int64
	stream     int64 // number of the object stream; 0 is none
}

// subsection is a run of entries. at is the place of the first: its offset in a file, or its
// row in a stream.
type subsection struct{ first, count, at, stride int64 }

const subsectionSize = 32

// subsections are those of one section.
type subsections struct {
	list []subsection
	// mixed says that they are not in order, so that they are searched one by one.
	mixed bool
}

func (l *subsections) add(b *document.Budget, s subsection) error {
	if n := len(l.list); n > 0 && s.first < l.list[n-1].first+l.list[n-1].count {
		l.mixed = true
	}
	if err := b.Hold(2 * subsectionSize); err != nil { // a slice grows by doubling
		return err
	}
	l.list = append(l.list, s)
	return nil
}

// of returns the subsection of an object; nil if there is none.
func (l *subsections) of(b *document.Budget, number int64) (*subsection, error) {
	if l.mixed {
		for i := range l.list {
			if err := b.Work(1); err != nil {
				return nil, err
			}
			if s := &l.list[i]; number >= s.first && number-s.first < s.count {
				return s, nil
			}
		}
		return nil, nil
	}
	i, found := slices.BinarySearchFunc(l.list, number, func(s subsection, n int64) int {
		return cmp.Compare(s.first, n)
	})
	if !found {
		i--
	}
	if i < 0 || number-l.list[i].first >= l.list[i].count {
		return nil, nil
	}
	return &l.list[i], nil
}

// crossReference reads the section at an offset and those before it.
func (f *file) crossReference(at int64) error {
	seen := map[int64]bool{}
	for !seen[at] {
		seen[at] = true
		if len(seen) > maxSections {
			return document.ErrTooLarge
		}
		mark := f.b.Mark()
		trailer, err := f.sectionAt(at)
		if err == nil {
			err = trailer.once("Root", "Prev", "XRefStm", "Encrypt")
		}
		if err != nil {
			return err
		}
		if len(seen) == 1 && trailer["Root"] == nil {
			return document.ErrDamaged // the root of the revision before may be another
		}
		for _, k := range []string{"Root", "Encrypt", "ID"} {
			if _, newer := f.trailer[k]; !newer && trailer[k] != nil {
				f.trailer[k] = trailer[k]
			}
		}
		if len(seen) > 1 {
			f.b.Reset(mark)
		}
		prev, ok := trailer["Prev"].(int64)
		if !ok || prev == 0 { // some producers write 0 for none
			return nil
		}
		at = prev
	}
	return nil
}

// sectionAt reads one section, table or stream, and its trailer.
func (f *file) sectionAt(at int64) (dict, error) {
	for _, off := range f.places(at) {
		p := parserAt(f.r, f.b, off, f.size)
		switch t, err := p.token(); {
		case document.IsFinal(err):
			return nil, err
		case err != nil:
		case t == word("xref"):
			return f.table(p)
		default:
			s, err := f.streamAt(off)
			if document.IsFinal(err) {
				return nil, err
			}
			if err == nil && s.dict["Type"] == name("XRef") {
				x, err := f.xrefStream(s)
				if err != nil {
					return nil, err
				}
				f.sections = append(f.sections, x)
				f.streamSections[off] = true
				return s.dict, nil
			}
		}
	}
	return nil, document.ErrDamaged
}

// table is a cross-reference table. Its entries are read when they are needed.
type table struct {
	subsections
	// hybrid is the stream that lists the objects that the table hides from readers of PDF 1.4.
	hybrid *xrefRows
}

func (f *file) table(p *parser) (dict, error) {
	t := &table{}
	for {
		v, err := p.token()
		if err != nil {
			return nil, err
		}
		if v == word("trailer") {
			break
		}
		if err := f.tableSection(t, p, v); err != nil {
			return nil, err
		}
	}
	v, err := p.value()
	d, ok := v.(dict)
	if err != nil || !ok {
		return nil, document.ErrDamaged
	}
	f.sections = append(f.sections, t)
	if err := d.once("XRefStm", "Prev"); err != nil {
		return nil, err
	}
	if at, ok := d["XRefStm"].(int64); ok {
		if t.hybrid, err = f.hybrid(at, d["Prev"]); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// tableSection adds the subsection of a table that begins with the token v, and skips it.
func (f *file) tableSection(t *table, p *parser, v any) error {
	first, ok := v.(int64)
	v, err := p.token()
	count, ok2 := v.(int64)
	if err != nil || !ok || !ok2 || first < 0 || count < 0 || count > f.size/lineSize+1 {
		return document.ErrDamaged
	}
	if count == 0 {
		return nil
	}
	if _, more := p.skip(); !more {
		return document.ErrDamaged
	}
	p.back()
	s := subsection{first: first, count: count, at: p.at}
	if err := f.measure(&s); err != nil {
		return err
	}
	if err := t.add(f.b, s); err != nil {
		return err
	}
	p.seek(s.at + (count-1)*s.stride + lineSize)
	return nil
}

// lineSize is the length of an entry without its end of line, which has two characters, or one
// or three if ends of lines were converted.
const lineSize = 18

// measure finds the length of the entries of a subsection. It also corrects a subsection that
// counts from 1 although its first entry is that of object 0.
func (f *file) measure(s *subsection) error {
	var head [2*lineSize + 3]byte
	n, _ := f.r.ReadAt(head[:], s.at)
	e, ok := line(head[:n])
	if !ok {
		return document.ErrDamaged
	}
	if s.first == 1 && e.free && string(head[:lineSize-2]) == "0000000000 65535" {
		s.first = 0
	}
	if s.stride = lineSize; s.count == 1 {
		return nil
	}
	for s.stride < int64(n) && space(head[s.stride]) {
		s.stride++
	}
	if s.count > (f.size-s.at)/s.stride+1 {
		return document.ErrDamaged
	}
	_, err := f.line(s, s.count-1)
	return err
}

// line parses an entry of a table.
func line(b []byte) (e entry, ok bool) {
	if len(b) < lineSize || b[10] != ' ' || b[16] != ' ' || (b[17] != 'n' && b[17] != 'f') {
		return entry{}, false
	}
	offset, err := strconv.ParseInt(string(b[:10]), 10, 64)
	generation, gerr := strconv.ParseUint(string(b[11:16]), 10, 32)
	if err != nil || gerr != nil {
		return entry{}, false
	}
	return entry{free: b[17] == 'f', offset: offset, generation: int64(generation)}, true
}

func (f *file) line(s *subsection, i int64) (entry, error) {
	var b [lineSize]byte
	n, _ := f.r.ReadAt(b[:], s.at+i*s.stride)
	e, ok := line(b[:n])
	if !ok {
		return entry{}, document.ErrDamaged
	}
	return e, nil
}

func (t *table) find(f *file, number int64) (entry, bool, error) {
	s, err := t.of(f.b, number)
	if err != nil {
		return entry{}, false, err
	}
	known := s != nil
	e := entry{free: true}
	if known {
		if e, err = f.line(s, number-s.first); err != nil {
			return entry{}, false, err
		}
		e.free = e.free || e.offset == 0
	}
	if e.free && t.hybrid != nil {
		if h, inStream, err := t.hybrid.find(f, number); inStream || err != nil {
			return h, inStream, err
		}
	}
	return e, known, nil
}

// hybrid reads the cross-reference stream of a hybrid file (ISO 32000-2, 7.5.8.4). Some readers
// follow its Prev, others that of the table.
func (f *file) hybrid(at int64, prev any) (*xrefRows, error) {
	for _, off := range f.places(at) {
		s, err := f.streamAt(off)
		if document.IsFinal(err) {
			return nil, err
		}
		if err == nil && s.dict["Type"] == name("XRef") {
			if p := s.dict["Prev"]; p != nil && !reflect.DeepEqual(p, prev) {
				return nil, document.ErrDiffer
			}
			f.streamSections[off] = true
			return f.xrefStream(s)
		}
	}
	return nil, document.ErrDamaged
}
