package pages

import (
	"cmp"
	"io"
	"slices"
	"strconv"
)

// maxSections bounds the chain of updates of a file. Each costs a read, and a file
// that is saved every day for a generation has as many.
const maxSections = 10_000

// What searching the cross-reference costs of the work a count may do: a look into
// one section.
const findWork = 64

// section is a part of the cross-reference.
type section interface {
	// find tells where an object is; known is false when the section does not say.
	find(f *file, number int64) (e entry, known bool, err error)
}

// entry is where an object is: at an offset, or in an object stream. The offset of a
// free one is the number of the next free object.
type entry struct {
	free   bool
	offset int64
	stream int64 // number of the object stream; 0 is none
}

// subsection is a run of entries, of which at is the first: its offset in a file,
// or its row in a stream.
type subsection struct{ first, count, at, stride int64 }

const subsectionSize = 32

// subsections are those of one section.
type subsections struct {
	list []subsection
	// mixed says that they don't stand in order: they are searched one by one.
	mixed bool
}

func (l *subsections) add(b *budget, s subsection) error {
	if n := len(l.list); n > 0 && s.first < l.list[n-1].first+l.list[n-1].count {
		l.mixed = true
	}
	if err := b.hold(2 * subsectionSize); err != nil { // a slice grows by doubling
		return err
	}
	l.list = append(l.list, s)
	return nil
}

// of is the subsection of an object; nil when there is none.
func (l *subsections) of(b *budget, number int64) (*subsection, error) {
	if l.mixed {
		for i := range l.list {
			if err := b.work(1); err != nil {
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
			return ErrTooLarge
		}
		mark := f.b.objects
		trailer, err := f.sectionAt(at)
		if err != nil {
			return err
		}
		if len(seen) == 1 && trailer["Root"] == nil {
			return ErrDamaged // that of the revision before may be another
		}
		for _, k := range []string{"Root", "Encrypt", "ID"} {
			if _, newer := f.trailer[k]; !newer && trailer[k] != nil {
				f.trailer[k] = trailer[k]
			}
		}
		if len(seen) > 1 {
			f.b.objects = mark
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
		case isBudget(err):
			return nil, err
		case err != nil:
		case t == word("xref"):
			return f.table(p)
		default:
			s, err := f.streamAt(off)
			if isBudget(err) {
				return nil, err
			}
			if err == nil && s.dict["Type"] == name("XRef") {
				x, err := f.xrefStream(s)
				if err != nil {
					return nil, err
				}
				f.sections = append(f.sections, x)
				return s.dict, nil
			}
		}
	}
	return nil, ErrDamaged
}

// table is a cross-reference table. Its entries are read when they are needed.
type table struct {
	subsections
	// hybrid is the stream that says where the objects are that the table hides
	// from readers of PDF 1.4.
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
		first, ok := v.(int64)
		v, err = p.token()
		count, ok2 := v.(int64)
		if err != nil || !ok || !ok2 || first < 0 || count < 0 || count > f.size/lineSize+1 {
			return nil, ErrDamaged
		}
		if count == 0 {
			continue
		}
		if _, more := p.skip(); !more {
			return nil, ErrDamaged
		}
		p.back()
		s := subsection{first: first, count: count, at: p.at}
		if err := f.measure(&s); err != nil {
			return nil, err
		}
		if err := t.add(f.b, s); err != nil {
			return nil, err
		}
		p.seek(s.at + (count-1)*s.stride + lineSize)
	}
	v, err := p.value()
	d, ok := v.(dict)
	if err != nil || !ok {
		return nil, ErrDamaged
	}
	f.sections = append(f.sections, t)
	if at, ok := d["XRefStm"].(int64); ok {
		if t.hybrid, err = f.hybrid(at); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// lineSize is an entry without its end of line, which has two characters, or one
// or three where somebody changed the ends of lines on the way.
const lineSize = 18

// measure finds out how long the entries of a subsection are. It counts from 1
// where a producer forgot that the first entry is that of object 0.
func (f *file) measure(s *subsection) error {
	var head [2*lineSize + 3]byte
	n, _ := f.r.ReadAt(head[:], s.at)
	free, _, ok := line(head[:n])
	if !ok {
		return ErrDamaged
	}
	if s.first == 1 && free && string(head[:lineSize-2]) == "0000000000 65535" {
		s.first = 0
	}
	if s.stride = lineSize; s.count == 1 {
		return nil
	}
	for s.stride < int64(n) && space(head[s.stride]) {
		s.stride++
	}
	if s.count > (f.size-s.at)/s.stride+1 {
		return ErrDamaged
	}
	_, _, err := f.line(s, s.count-1)
	return err
}

// line reads an entry of a table.
func line(b []byte) (free bool, offset int64, ok bool) {
	if len(b) < lineSize || b[10] != ' ' || b[16] != ' ' || (b[17] != 'n' && b[17] != 'f') {
		return false, 0, false
	}
	offset, err := strconv.ParseInt(string(b[:10]), 10, 64)
	if _, gerr := strconv.ParseUint(string(b[11:16]), 10, 32); err != nil || gerr != nil {
		return false, 0, false
	}
	return b[17] == 'f', offset, true
}

func (f *file) line(s *subsection, i int64) (free bool, offset int64, err error) {
	var b [lineSize]byte
	n, _ := f.r.ReadAt(b[:], s.at+i*s.stride)
	free, offset, ok := line(b[:n])
	if !ok {
		return false, 0, ErrDamaged
	}
	return free, offset, nil
}

func (t *table) find(f *file, number int64) (entry, bool, error) {
	s, err := t.of(f.b, number)
	if err != nil {
		return entry{}, false, err
	}
	known := s != nil
	e := entry{free: true}
	if known {
		if e.free, e.offset, err = f.line(s, number-s.first); err != nil {
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

// hybrid reads the cross-reference stream of a hybrid file (ISO 32000-2, 7.5.8.4).
func (f *file) hybrid(at int64) (*xrefRows, error) {
	for _, off := range f.places(at) {
		s, err := f.streamAt(off)
		if isBudget(err) {
			return nil, err
		}
		if err == nil && s.dict["Type"] == name("XRef") {
			return f.xrefStream(s)
		}
	}
	return nil, ErrDamaged
}

// maxField is how many bytes a field of a row has at most: what fits an int64.
const maxField = 8

// xrefRows are the rows of a cross-reference stream that its Index is about.
type xrefRows struct {
	subsections
	data   *kept
	widths [3]int
	width  int64
}

// xrefStream reads the rows of a cross-reference stream. A stream that does not end
// with its rows is damaged, or what says how many they are.
func (f *file) xrefStream(s *stream) (*xrefRows, error) {
	x, whole, err := f.readRows(s)
	if err == nil && !whole {
		f.dropRows(x)
		err = ErrDamaged
	}
	if err != nil {
		return nil, err
	}
	return x, nil
}

func (f *file) dropRows(x *xrefRows) {
	f.b.free(int64(len(x.list)) * 2 * subsectionSize)
	f.b.drop(x.data)
}

// behindRows is how much may stand behind the rows: the end of a line.
const behindRows = 2

// readRows reads the rows of a cross-reference stream and tells whether all of it is
// sound: rows as many as it says, and the right checksum. What stands further
// behind them is never inflated.
func (f *file) readRows(s *stream) (x *xrefRows, whole bool, err error) {
	x = &xrefRows{}
	w, ok := s.dict["W"].(array)
	if !ok || len(w) < len(x.widths) {
		return nil, false, ErrDamaged
	}
	for i := range x.widths {
		n, ok := w[i].(int64)
		if !ok || n < 0 || n > maxField {
			return nil, false, ErrDamaged
		}
		x.widths[i] = int(n)
		x.width += n
	}
	rows, err := x.index(f.b, s.dict)
	if err != nil {
		return nil, false, err
	}
	if x.width == 0 || rows > maxHeld/x.width {
		return nil, false, ErrTooLarge
	}
	r, err := f.decoded(s, nil)
	if err != nil {
		return nil, false, err
	}
	length := rows * x.width
	x.data, err = f.b.readAll(io.LimitReader(r, length+behindRows+1))
	if isBudget(err) {
		return nil, false, err
	}
	return x, err == nil && x.data.size >= length && x.data.size <= length+behindRows, nil
}

// index reads which objects the rows are about, and how many rows there are.
func (x *xrefRows) index(b *budget, d dict) (rows int64, err error) {
	list, ok := d["Index"].(array)
	if !ok {
		list = array{int64(0), d["Size"]}
	}
	for i := 0; i+1 < len(list); i += 2 {
		first, ok := list[i].(int64)
		count, ok2 := list[i+1].(int64)
		if !ok || !ok2 || first < 0 || count < 0 || count > maxHeld || rows > maxHeld {
			return 0, ErrDamaged
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
		return entry{}, false, ErrDamaged
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
		return entry{offset: fields[1], free: fields[1] == 0}, true, nil
	case 2:
		return entry{stream: fields[1], free: fields[1] == 0}, true, nil
	}
	// Also of a later version: as if it weren't there.
	return entry{free: true, offset: fields[1]}, true, nil
}
