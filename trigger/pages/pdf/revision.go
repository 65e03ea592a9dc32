package pdf

import (
	"errors"

	"pullprint/trigger/pages/document"
)

// maxMarks is how many startxref are tried for an intact cross-reference. The last one that is
// intact decides; each one that is not costs a read.
const maxMarks = 16

// mark records the offset after a startxref.
func (s *search) mark(at int64) {
	if len(s.marks) == maxMarks {
		s.marks = append(s.marks[:0], s.marks[1:]...)
	}
	s.marks = append(s.marks, at)
}

// against compares the number of pages from the objects that were found with that from the last
// startxref whose cross-reference is intact. Some readers use the one, others the other, so if
// they differ there is no certain number. It does not verify updates, since readers don't.
// Offsets count from head.
func (f *file) against(marks []int64, head int64, n int) error {
	f.sections = nil // frees the memory of what was found
	for i := len(marks) - 1; i >= 0; i-- {
		f.streams.forget()
		f.b.Clear()
		g := &file{r: f.r, b: f.b, size: f.size, shift: head, trailer: dict{}, streamSections: map[int64]bool{}}
		g.streams.b = f.b
		got, err := g.countFrom(marks[i])
		g.streams.forget()
		switch {
		case document.IsFinal(err):
			return err
		case err == nil && got == n:
			return nil
		case err == nil, errors.Is(err, document.ErrDiffer):
			return document.ErrDiffer
		}
	}
	return nil
}

// countFrom counts with the cross-reference whose offset follows a startxref.
func (f *file) countFrom(mark int64) (int, error) {
	t, err := parserAt(f.r, f.b, mark, f.size).token()
	at, ok := t.(int64)
	switch {
	case document.IsFinal(err):
		return 0, err
	case err != nil, !ok:
		return 0, document.ErrDamaged
	}
	if err := f.crossReference(at); err != nil {
		return 0, err
	}
	n, _, err := f.countTree()
	return n, err
}
