package pages

// compare looks at what was found with the cross-reference streams that can be
// read. Where one says that an object is in an object stream, and the object was
// found only elsewhere and before it, that object stream is damaged: what was found
// is of an earlier revision, and its place is doubtful.
func (s *search) compare() error {
	f := s.f
	for _, at := range s.trailers {
		mark := f.b.objects
		var x *xrefRows
		st, err := f.streamAt(at)
		if err == nil {
			x, _, err = f.readRows(st) // also of a damaged one: it makes places doubtful only
		}
		f.b.objects = mark
		if isBudget(err) {
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
			if err := s.f.b.work(1); err != nil {
				return err
			}
			number := sub.first + i
			e, _, err := x.find(s.f, number)
			if isBudget(err) {
				return err
			}
			if err != nil {
				break // fewer rows than the stream says
			}
			if e.stream == 0 {
				continue
			}
			if err := s.f.b.work(findWork); err != nil {
				return err
			}
			if l := rebuilt(s.found).of(number); l != nil && l.at >= 0 && l.at < at && l.stream != e.stream {
				l.at, l.stream = ^l.at, 0
			}
		}
	}
	return nil
}
