package pdf

import "pullprint/trigger/pages/document"

// compare compares the objects that were found with the cross-reference streams that can be
// read. If one says that an object is in an object stream, and the object was found only
// elsewhere and before it, that object stream is damaged: what was found belongs to an earlier
// revision, and its place is doubtful. So is an object that should be after a trailer and was
// found only before it.
func (s *search) compare() error {
	f := s.f
	for _, at := range s.trailers {
		mark := f.b.Mark()
		var x *xrefRows
		st, err := f.streamAt(at)
		if err == nil {
			x, _, err = f.readRows(st) // also a damaged one, since it can only make places doubtful
		}
		f.b.Reset(mark)
		if document.IsFinal(err) {
			return err
		}
		if err != nil {
			continue // the trailer of a table, or a damaged stream
		}
		if err := s.compareRows(x, at); err != nil {
			return err
		}
		f.dropRows(x)
	}
	return nil
}

func (s *search) compareRows(x *xrefRows, at int64) error {
	for _, sub := range x.list {
		for i := range sub.count {
			if err := s.f.b.Work(1); err != nil {
				return err
			}
			number := sub.first + i
			e, _, err := x.find(s.f, number)
			if document.IsFinal(err) {
				return err
			}
			if err != nil {
				break // fewer rows than the stream says
			}
			if e.free {
				continue
			}
			if err := s.f.b.Work(findWork); err != nil {
				return err
			}
			s.doubt(number, e, at)
		}
	}
	return nil
}

// doubt marks the place of an object as doubtful if a cross-reference at a place contradicts
// it.
func (s *search) doubt(number int64, e entry, at int64) {
	l := rebuilt(s.found).of(number)
	if l == nil || l.at < 0 {
		return
	}
	earlier := l.at < at && l.stream != e.stream
	if e.stream == 0 {
		earlier = l.at < e.offset && s.ended(l.at, e.offset)
	}
	if earlier {
		l.at, l.stream = ^l.at, 0
	}
}

// tables returns the tables that were read before the search.
func (f *file) tables() []*table {
	var list []*table
	for _, s := range f.sections {
		if t, ok := s.(*table); ok {
			list = append(list, &table{subsections: t.subsections})
		}
	}
	return list
}

// compareTables compares the objects that were found with the tables, whose offsets count from
// shift.
func (s *search) compareTables(tables []*table, shift int64) error {
	for _, t := range tables {
		if err := s.f.b.Hold(int64(len(t.list)) * 2 * subsectionSize); err != nil {
			return err
		}
		for _, sub := range t.list {
			for i := range sub.count {
				if err := s.f.b.Work(findWork); err != nil {
					return err
				}
				e, err := s.f.line(&sub, i)
				if err != nil {
					break // fewer entries than the table says
				}
				if !e.free && e.offset != 0 {
					s.doubt(sub.first+i, entry{offset: e.offset + shift}, 0)
				}
			}
		}
	}
	return nil
}
