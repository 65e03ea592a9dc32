package pdf

import (
	"cmp"
	"errors"
	"slices"

	"pullprint/trigger/pages/document"
)

// maxVerified is how many entries of updates are verified. A program that fills in a form,
// signs or adds pages writes some dozens; verifying more would read too much of a document over
// the network.
const maxVerified = 1024

// verify checks that the entries of updates point to the objects that they list. An entry with
// a wrong number hides the update of the right one, and the object of the revision before would
// be used. Entries of the oldest section hide nothing.
func (f *file) verify() error {
	left := int64(maxVerified)
	for _, s := range f.sections[:max(len(f.sections)-1, 0)] {
		var lists [][]subsection
		switch s := s.(type) {
		case *table:
			lists = append(lists, s.list)
			if s.hybrid != nil {
				lists = append(lists, s.hybrid.list)
			}
		case *xrefRows:
			lists = append(lists, s.list)
		}
		for _, list := range lists {
			for _, sub := range list {
				n := min(left, sub.count)
				left -= n
				if err := f.verifyEntries(s, sub.first, n); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// verifyEntries verifies n entries of a section, beginning with that of object first.
func (f *file) verifyEntries(s section, first, n int64) error {
	for from := first; from < first+n; from += together {
		entries := make([]entry, 0, together)
		offsets := make([]int64, 0, together)
		for number := from; number < min(from+together, first+n); number++ {
			e, _, err := s.find(f, number)
			if err != nil {
				return err
			}
			if entries = append(entries, e); !e.free && e.stream == 0 {
				offsets = append(offsets, e.offset+f.shift)
			}
		}
		if len(offsets) > 1 {
			f.r.Prefetch(offsets)
		}
		for i, e := range entries {
			ok, err := f.leadsTo(e, from+int64(i))
			if err != nil {
				return err
			}
			if !ok {
				return document.ErrDamaged
			}
		}
	}
	return nil
}

// leadsTo reports whether an entry is free, or points to the object of a number.
func (f *file) leadsTo(e entry, number int64) (bool, error) {
	switch {
	case e.free:
		return true, nil
	case e.stream == 0:
		return f.stands(e.offset, number)
	}
	s, err := f.objectStream(e.stream)
	if errors.Is(err, document.ErrEncrypted) {
		return true, nil // reading an object from it will tell
	}
	if err != nil {
		return false, err
	}
	_, err = s.find(number)
	return err == nil || errors.Is(err, document.ErrDiffer), nil // as above
}

// find returns the offset of the object of a number. Of two of one number, some readers use the
// one at the index in the cross-reference, others the first or the last.
func (o *objectStream) find(number int64) (at int64, err error) {
	i, found := slices.BinarySearchFunc(o.at, number, func(p place, n int64) int { return cmp.Compare(p.number, n) })
	switch {
	case !found:
		return 0, document.ErrDamaged
	case i+1 < len(o.at) && o.at[i+1].number == number:
		return 0, document.ErrDiffer
	}
	return o.at[i].at, nil
}

// stands reports whether the object of a number is at an offset.
func (f *file) stands(at, number int64) (bool, error) {
	for _, off := range f.places(at) {
		p := parserAt(f.r, f.b, off, f.size)
		if got, _, ok := p.heading(); ok && got == number {
			return true, nil
		}
		if document.IsFinal(p.failed) {
			return false, p.failed
		}
	}
	return false, nil
}

// missing are kids that do not exist according to the cross-reference: those that are free, and
// those that are not listed.
type missing struct{ free, unlisted []int64 }

const numberSize = 8

// add records an object that does not exist, and checks whether it was deleted. The offset of a
// free entry is the number of the next free object; if it is that of the object itself, the
// entry is damaged and was in use.
func (m *missing) add(f *file, number int64) error {
	e, err := f.lookup(number)
	if err != nil || (!e.free && !e.unlisted) {
		return err // null
	}
	if err := f.b.Hold(2 * numberSize); err != nil { // a slice grows by doubling
		return err
	}
	if e.unlisted {
		m.unlisted = append(m.unlisted, number)
		return nil
	}
	m.free = append(m.free, number)
	there, err := f.stands(e.offset, number)
	if err == nil && there {
		err = errFree
	}
	return err
}

// confirm searches the file for what is missing. If it finds such an object, the number is not
// certain: a part of the cross-reference may be missing, or some readers show free objects that
// still exist.
func (f *file) confirm(m missing) error {
	if len(m.free)+len(m.unlisted) == 0 {
		return nil
	}
	read := len(f.streamSections)
	if _, err := f.rebuild(); err != nil {
		return err
	}
	if f.streamsFound > read {
		return errLost
	}
	found, _ := f.sections[0].(rebuilt)
	for _, number := range slices.Concat(m.unlisted, m.free) {
		if found.of(number) != nil {
			return errLost
		}
	}
	return nil
}
