package pdf

import (
	"bytes"
	"regexp"

	"pullprint/trigger/pages/document"
)

// headingMost is how many bytes the three words of a heading may take.
const headingMost = 64

// oddHeading matches what follows the first character of a heading with a sign or a comment in
// it, which some readers accept and others do not.
var oddHeading = regexp.MustCompile(`^[0-9]*(?:[\x00\t\n\f\r ]|%[^\r\n]*[\r\n])+\+?[0-9]+(?:[\x00\t\n\f\r ]|%[^\r\n]*[\r\n])+obj`)

// isHeading reports whether b, after its first digit, is a heading as 12 0 obj.
func isHeading(b []byte) bool {
	digits := func() int {
		i := 0
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		b = b[i:]
		return i
	}
	spaces := func() int {
		i := 0
		for i < len(b) && space(b[i]) {
			i++
		}
		b = b[i:]
		return i
	}
	digits()
	return spaces() > 0 && digits() > 0 && spaces() > 0 && bytes.HasPrefix(b, []byte("obj")) &&
		(len(b) == 3 || space(b[3]) || delimiter(b[3]) || b[3] == '-' || (b[3] >= '0' && b[3] <= '9'))
}

// heading reads the object that begins at an offset, and continues after it.
func (s *search) heading(at int64) error {
	f, p := s.f, s.p
	mark := f.b.Mark()
	number, _, ok := p.heading()
	behind := p.at
	if !ok || number <= 0 {
		if document.IsFinal(p.failed) {
			return p.failed
		}
		p.seek(behind)
		return nil
	}
	if err := s.add(located{number: number, at: at}); err != nil {
		return err
	}
	s.object = at
	v, err := p.value()
	if document.IsFinal(err) {
		return err
	}
	d, isDict := v.(dict)
	switch {
	case err == nil && isDict:
		return s.dict(&stream{number: number, dict: d}, at, behind, mark)
	case err == nil:
		err = s.alone(behind, p.at)
	default:
		err = nil
	}
	p.seek(behind)
	f.b.Reset(mark)
	return err
}

// dict reads what follows the dictionary of the object at an offset, whose content began at
// from.
func (s *search) dict(st *stream, at, from, mark int64) error {
	f, p := s.f, s.p
	behind := p.at
	if st.dict["Type"] == name("Catalog") {
		s.catalog(located{number: st.number, at: at})
	}
	t, err := p.token()
	if document.IsFinal(err) {
		return err
	}
	if err == nil && t == word("stream") {
		st.at = p.data()
		if err := s.stream(st, at, mark); err != nil {
			return err
		}
		return s.alone(from, p.at)
	}
	p.seek(behind)
	f.b.Reset(mark)
	return s.alone(from, behind)
}

// innerObject matches what some readers take for an object or a trailer wherever it is.
var innerObject = regexp.MustCompile(`(?:^|[\x00\t\n\f\r ])(?:[0-9]+[\x00\t\n\f\r ]+[0-9]+[\x00\t\n\f\r ]+obj|` +
	`trailer[\x00\t\n\f\r ]*<<)`)

// alone returns an error if an object contains another one in a string or a stream, as that of
// a PDF in a PDF: some readers search line by line and find it there, others skip it.
func (s *search) alone(from, to int64) error {
	if s.buf == nil {
		s.buf = make([]byte, chunk)
	}
	for from < to {
		n, _ := s.f.r.ReadAt(s.buf[:min(chunk, to-from)], from)
		if err := s.f.b.Work(int64(n)); err != nil {
			return err
		}
		b := s.buf[:n]
		if (bytes.Contains(b, []byte("obj")) || bytes.Contains(b, []byte("trailer"))) && innerObject.Match(b) {
			return document.ErrDiffer
		}
		if n < chunk {
			break
		}
		from += int64(n - headingMost)
	}
	return nil
}
