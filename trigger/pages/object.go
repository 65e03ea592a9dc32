package pages

import (
	"bufio"
	"io"
	"strconv"
)

// The kinds of PDF objects that matter (ISO 32000-2, 7.3). The rest is other.
type (
	name  string
	ref   struct{ number, generation int64 }
	dict  map[string]any
	array []any
	// word is a keyword, as obj or stream.
	word string
	// other is a value that nobody looks at: a string, or a number with a point.
	other struct{}
)

// The bounds of one object.
const (
	maxDepth  = 40
	maxParts  = 400_000
	maxString = 8 << 20
	maxWord   = 256
)

// parser reads objects from somewhere in a file.
type parser struct {
	r     *bufio.Reader
	at    int64 // of the next byte
	parts int
}

func parserAt(r io.ReaderAt, off, size int64) *parser {
	return &parser{r: bufio.NewReaderSize(io.NewSectionReader(r, off, max(size-off, 0)), 1024), at: off}
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

// skip goes over white space and comments.
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

// object reads one object. An end within it, or what is none, is ErrDamaged.
func (p *parser) object(depth int) (any, error) {
	p.parts++
	if depth > maxDepth || p.parts > maxParts {
		return nil, ErrDamaged
	}
	b, ok := p.skip()
	if !ok {
		return nil, ErrDamaged
	}
	switch {
	case b == '/':
		return p.name(), nil
	case b == '(':
		return other{}, p.literal()
	case b == '[':
		return p.array(depth)
	case b == '<':
		if c, ok := p.next(); ok && c == '<' {
			return p.dict(depth)
		}
		p.back()
		return other{}, p.hex()
	case b == '+' || b == '-' || b == '.' || (b >= '0' && b <= '9'):
		p.back()
		return p.number()
	case b == ']' || b == '>' || b == ')' || b == '{' || b == '}':
		return word(b), nil
	}
	p.back()
	w := p.word()
	switch w {
	case "null":
		return nil, nil
	case "true", "false":
		return other{}, nil
	case "":
		return nil, ErrDamaged
	}
	return word(w), nil
}

func (p *parser) name() name {
	return name(p.word())
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

// literal goes over a string in parentheses.
func (p *parser) literal() error {
	open := 1
	for range maxString {
		b, ok := p.next()
		switch {
		case !ok:
			return ErrDamaged
		case b == '\\':
			_, _ = p.next()
		case b == '(':
			open++
		case b == ')':
			if open--; open == 0 {
				return nil
			}
		}
	}
	return ErrDamaged
}

func (p *parser) hex() error {
	for range maxString {
		b, ok := p.next()
		if !ok {
			return ErrDamaged
		}
		if b == '>' {
			return nil
		}
	}
	return ErrDamaged
}

// number reads a number, or a reference: two whole numbers and R.
func (p *parser) number() (any, error) {
	n, whole := p.integer()
	if !whole {
		return other{}, nil
	}
	// 12 0 R: what follows is looked at without being taken.
	ahead, _ := p.r.Peek(16)
	i := 0
	for i < len(ahead) && space(ahead[i]) {
		i++
	}
	from := i
	for i < len(ahead) && ahead[i] >= '0' && ahead[i] <= '9' {
		i++
	}
	if i == 0 || from == 0 || i == from {
		return n, nil
	}
	generation, err := strconv.ParseInt(string(ahead[from:i]), 10, 32)
	gap := i
	for i < len(ahead) && space(ahead[i]) {
		i++
	}
	if err != nil || i == gap || i >= len(ahead) || ahead[i] != 'R' || (i+1 < len(ahead) && !space(ahead[i+1]) && !delimiter(ahead[i+1])) {
		return n, nil
	}
	for range i + 1 {
		_, _ = p.next()
	}
	return ref{n, generation}, nil
}

func (p *parser) integer() (n int64, whole bool) {
	n, err := strconv.ParseInt(p.word(), 10, 64)
	return n, err == nil
}

func (p *parser) array(depth int) (array, error) {
	var a array
	for {
		v, err := p.object(depth + 1)
		if err != nil {
			return nil, err
		}
		if v == word("]") {
			return a, nil
		}
		if w, ok := v.(word); ok && (w == "endobj" || w == ">") {
			return nil, ErrDamaged
		}
		a = append(a, v)
	}
}

func (p *parser) dict(depth int) (dict, error) {
	d := dict{}
	for {
		k, err := p.object(depth + 1)
		if err != nil {
			return nil, err
		}
		if k == word(">") {
			if b, ok := p.next(); !ok || b != '>' {
				return nil, ErrDamaged
			}
			return d, nil
		}
		key, ok := k.(name)
		if !ok {
			return nil, ErrDamaged
		}
		v, err := p.object(depth + 1)
		if err != nil {
			return nil, err
		}
		if w, ok := v.(word); ok {
			if w != ">" { // a key without a value at the end
				return nil, ErrDamaged
			}
			if b, ok := p.next(); !ok || b != '>' {
				return nil, ErrDamaged
			}
			return d, nil
		}
		if len(d) < maxParts {
			d[string(key)] = v
		}
	}
}
