package pages

import "errors"

// maxMarks is how many times startxref are tried for an intact cross-reference. The
// nearest one that is intact decides; each that is not costs a reading.
const maxMarks = 16

// mark remembers the place behind a startxref.
func (s *search) mark(at int64) {
	if len(s.marks) == maxMarks {
		s.marks = append(s.marks[:0], s.marks[1:]...)
	}
	s.marks = append(s.marks, at)
}

// against compares the number of pages by the objects that were found with the number by
// the last startxref whose cross-reference is intact. Some readers go by the one, others by
// the other: where the two differ there is no number. Updates are not verified here, as
// readers do not do so. Offsets count from head.
func (f *file) against(marks []int64, head int64, n int) error {
	f.sections = nil // what was found takes memory, and is not needed any more
	for i := len(marks) - 1; i >= 0; i-- {
		f.streams.forget()
		f.b.caches, f.b.objects = 0, 0
		g := &file{r: f.r, b: f.b, size: f.size, shift: head, trailer: dict{}, streamSections: map[int64]bool{}}
		g.streams.b = f.b
		got, err := g.countFrom(marks[i])
		g.streams.forget()
		switch {
		case isBudget(err):
			return err
		case err == nil && got == n:
			return nil
		case err == nil, errors.Is(err, errDiffer):
			return errDiffer
		}
	}
	return nil
}

// countFrom counts by the cross-reference that the number at a place tells.
func (f *file) countFrom(mark int64) (int, error) {
	t, err := parserAt(f.r, f.b, mark, f.size).token()
	at, ok := t.(int64)
	switch {
	case isBudget(err):
		return 0, err
	case err != nil, !ok:
		return 0, ErrDamaged
	}
	if err := f.crossReference(at); err != nil {
		return 0, err
	}
	n, _, err := f.countTree()
	return n, err
}
