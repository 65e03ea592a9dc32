package pdf

import (
	"bufio"
	"io"
	"strconv"

	"pullprint/trigger/pages/document"
)

// Limits of one object. The longest string that is used is the U of an encryption
// dictionary: 48 bytes, which some producers pad to 127.
const (
	maxDepth = 100
	maxText  = 256
	maxWord  = 256
)

// parser reads objects from any place in a file.
type parser struct {
	src    io.ReaderAt
	size   int64
	r      *bufio.Reader
	b      *document.Budget
	at     int64 // of the next byte
	ahead  []any // tokens that were put back, the next one last
	failed error
}

func parserAt(r io.ReaderAt, b *document.Budget, off, size int64) *parser {
	p := &parser{src: r, size: size, b: b, r: bufio.NewReaderSize(nil, 1024)}
	p.seek(off)
	return p
}

// seek continues at another place, and forgets earlier errors.
func (p *parser) seek(off int64) {
	p.r.Reset(io.NewSectionReader(p.src, off, max(p.size-off, 0)))
	p.at, p.ahead, p.failed = off, nil, nil
}

func (p *parser) next() (byte, bool) {
	b, err := p.r.ReadByte()
	if err != nil {
		return 0, false
	}
	p.at++
	return b, true
}

func (p *parser) back() {
	if p.r.UnreadByte() == nil {
		p.at--
	}
}

func space(b byte) bool {
	return b == ' ' || b == '\n' || b == '\r' || b == '\t' || b == '\f' || b == 0
}

func delimiter(b byte) bool {
	switch b {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return true
	}
	return false
}

// skip skips white space and comments, and returns the byte after them.
func (p *parser) skip() (byte, bool) {
	for {
		b, ok := p.next()
		switch {
		case !ok:
			return 0, false
		case b == '%':
			for ok && b != '\n' && b != '\r' {
				b, ok = p.next()
			}
		case !space(b):
			return b, true
		}
	}
}

// token reads one token: an int64, name, text, other or word. The end of the file, or anything
// else, is ErrDamaged, for all later calls too.
func (p *parser) token() (any, error) {
	if n := len(p.ahead); n > 0 {
		t := p.ahead[n-1]
		p.ahead = p.ahead[:n-1]
		return t, nil
	}
	if p.failed != nil {
		return nil, p.failed
	}
	from := p.at
	t, err := p.lex()
	if werr := p.b.Work(p.at - from); werr != nil {
		err = werr
	}
	p.failed = err
	return t, err
}

func (p *parser) lex() (any, error) {
	b, ok := p.skip()
	if !ok {
		return nil, document.ErrDamaged
	}
	switch {
	case b == '/':
		return p.name(), nil
	case b == '(':
		return p.literal()
	case b == '<' || b == '>':
		if c, ok := p.next(); ok && c == b {
			return word([]byte{b, b}), nil
		} else if ok {
			p.back()
		}
		if b == '<' {
			return p.hex()
		}
		return nil, document.ErrDamaged
	case delimiter(b):
		return word(b), nil
	}
	p.back()
	w := p.word()
	if b == '+' || b == '-' || b == '.' || (b >= '0' && b <= '9') {
		if n, err := strconv.ParseInt(w, 10, 64); err == nil {
			return n, nil
		}
		return other{}, nil
	}
	return word(w), nil
}

// name reads a name after its slash; #20 in it is a character.
func (p *parser) name() name {
	w := []byte(p.word())
	out := w[:0]
	for i := 0; i < len(w); i++ {
		if w[i] == '#' && i+2 < len(w) {
			if n, err := strconv.ParseUint(string(w[i+1:i+3]), 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, w[i])
	}
	return name(out)
}

// word reads regular characters.
func (p *parser) word() string {
	var w []byte
	for {
		b, ok := p.next()
		if !ok {
			return string(w)
		}
		if space(b) || delimiter(b) {
			p.back()
			return string(w)
		}
		if len(w) < maxWord {
			w = append(w, b)
		}
	}
}

// literal reads a string in parentheses, after the first one.
func (p *parser) literal() (any, error) {
	var s []byte
	for open := 1; ; {
		b, ok := p.next()
		switch {
		case !ok:
			return nil, document.ErrDamaged
		case b == '\\':
			if b, ok = p.escaped(); !ok {
				continue
			}
		case b == '(':
			open++
		case b == ')':
			if open--; open == 0 {
				return text(s), nil
			}
		case b == '\r': // every end of line counts as a line feed
			if c, more := p.next(); more && c != '\n' {
				p.back()
			}
			b = '\n'
		}
		if len(s) < maxText {
			s = append(s, b)
		}
	}
}

// escaped reads what follows a backslash; ok is false if that means no character.
func (p *parser) escaped() (byte, bool) {
	b, ok := p.next()
	switch {
	case !ok || b == '\n':
		return 0, false
	case b == '\r':
		if c, more := p.next(); more && c != '\n' {
			p.back()
		}
		return 0, false
	case b < '0' || b > '7':
		if to, known := map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'f': '\f'}[b]; known {
			return to, true
		}
		return b, true
	}
	n := b - '0'
	for range 2 {
		c, more := p.next()
		if more && (c < '0' || c > '7') {
			p.back()
			break
		}
		if more {
			n = n<<3 | (c - '0')
		}
	}
	return n, true
}

// hex reads a string in angle brackets, after the first one.
func (p *parser) hex() (any, error) {
	var s []byte
	half, digits := byte(0), 0
	for {
		b, ok := p.next()
		switch {
		case !ok:
			return nil, document.ErrDamaged
		case b == '>':
			if digits%2 == 1 && len(s) < maxText {
				s = append(s, half<<4)
			}
			return text(s), nil
		}
		d, ok := hexDigit(b)
		if !ok {
			continue
		}
		if digits++; digits%2 == 0 && len(s) < maxText {
			s = append(s, half<<4|d)
		}
		half = d
	}
}

func hexDigit(b byte) (byte, bool) {
	switch {
	case b >= '0' && b <= '9':
		return b - '0', true
	case b >= 'a' && b <= 'f':
		return b - 'a' + 10, true
	case b >= 'A' && b <= 'F':
		return b - 'A' + 10, true
	}
	return 0, false
}
