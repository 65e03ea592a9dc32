package strictyaml

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// AddWithin notes a problem within the scalar at path: line from 1 and column from 0
// count characters of its value. The problem's place is that character in the file,
// whether the scalar is plain, quoted or a block. Where the character can't be found
// it is the place of the scalar, as with Add.
func (d *Document) AddWithin(path string, line, column int, message, hint string) {
	value, tok := valueOf(d.nodes[path])
	if tok == nil || tok.Position == nil {
		d.Add(path, hint, "%s", message)
		return
	}
	at := *tok.Position
	if start, ok := d.offset(at); ok {
		if offset, ok := align(d.src, start, style(tok), value, offsetIn(value, line, column)); ok {
			before := d.src[:offset]
			at.Line = 1 + strings.Count(before, "\n")
			at.Column = 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
		}
	}
	d.problem(&token.Token{Position: &at}, path, message, hint)
}

// valueOf is the value of a scalar and the token that it begins with; nil when there is none.
func valueOf(n ast.Node) (string, *token.Token) {
	switch n := n.(type) {
	case nil:
		return "", nil
	case *ast.StringNode:
		return n.Value, n.GetToken()
	case *ast.LiteralNode:
		return n.Value.Value, n.GetToken()
	}
	return n.GetToken().Value, n.GetToken()
}

// offset is that of a position in the file, in bytes.
func (d *Document) offset(at token.Position) (int, bool) {
	if at.Line < 1 || at.Line > len(d.lines) {
		return 0, false
	}
	offset := 0
	for _, line := range d.lines[:at.Line-1] {
		offset += len(line) + 1
	}
	column := at.Column - 1
	for i := range d.lines[at.Line-1] {
		if column == 0 {
			return offset + i, true
		}
		column--
	}
	return 0, false
}

// offsetIn is the offset in value, in bytes, of a line from 1 and a column from 0.
func offsetIn(value string, line, column int) int {
	offset := 0
	for range line - 1 {
		i := strings.IndexByte(value[offset:], '\n')
		if i < 0 {
			return len(value)
		}
		offset += i + 1
	}
	for ; column > 0 && offset < len(value) && value[offset] != '\n'; column-- {
		_, n := utf8.DecodeRuneInString(value[offset:])
		offset += n
	}
	return offset
}

// How a scalar is written.
const (
	plainScalar = iota
	singleQuoted
	doubleQuoted
	block // | and >
)

func style(t *token.Token) int {
	switch t.Type {
	case token.SingleQuoteType:
		return singleQuoted
	case token.DoubleQuoteType:
		return doubleQuoted
	case token.LiteralType, token.FoldedType:
		return block
	}
	return plainScalar
}

// align walks a scalar as it is written, from start in src, side by side with
// its value, and gives the place in src of the byte at want in value. It is not
// ok when the two part.
func align(src string, start, style int, value string, want int) (at int, ok bool) {
	s, indent := start, -1
	switch style {
	case singleQuoted, doubleQuoted:
		s++
	case block:
		nl := strings.IndexByte(src[s:], '\n')
		if nl < 0 {
			return 0, false
		}
		s += nl + 1
		indent = indentOf(src[s:])
		s = skipIndent(src, s, indent)
	}
	for v := 0; v < want; {
		if s >= len(src) {
			return 0, false
		}
		ds, dv := step(src[s:], value[v:], style, indent)
		if ds == 0 {
			return 0, false
		}
		s, v = s+ds, v+dv
		if v > want {
			return 0, false
		}
	}
	// The value's next character may stand after a fold that gives nothing.
	return s, s <= len(src)
}

// step is how many bytes of the source and of the value stand for each other
// next; 0 of the source when they differ.
func step(src, value string, style, indent int) (ds, dv int) {
	if style == doubleQuoted && src[0] == '\\' {
		return escape(src)
	}
	if style == singleQuoted && strings.HasPrefix(src, "''") && value[0] == '\'' {
		return 2, 1
	}
	if n, newlines := fold(src, indent); newlines > 0 && (value[0] == ' ' || value[0] == '\n') {
		if value[0] == ' ' {
			return n, 1
		}
		dv = len(value) - len(strings.TrimLeft(value, "\n"))
		return n, min(dv, newlines)
	}
	r, n := utf8.DecodeRuneInString(src)
	if w, _ := utf8.DecodeRuneInString(value); w != r {
		return 0, 0
	}
	return n, n
}

// escape is a backslash and what belongs to it: one character, or, before the
// end of a line, none.
func escape(src string) (ds, dv int) {
	if len(src) < 2 {
		return 0, 0
	}
	n := map[byte]int{'x': 2, 'u': 4, 'U': 8}[src[1]]
	if 2+n > len(src) {
		return 0, 0
	}
	if src[1] == '\n' {
		rest := strings.TrimLeft(src[2:], " \t")
		return len(src) - len(rest), 0
	}
	var r rune
	if code, err := strconv.ParseInt(src[2:2+n], 16, 32); err == nil {
		r = rune(code)
	}
	if n == 0 {
		if i := strings.IndexByte("N_LP", src[1]); i >= 0 {
			r = []rune{0x85, 0xa0, 0x2028, 0x2029}[i]
		}
	}
	return 2 + n, max(1, utf8.RuneLen(r))
}

// fold is the white space around the end of a line, with the empty lines after
// it and the indentation of the next, and how many ends of lines are in it.
func fold(src string, indent int) (n, newlines int) {
	i := 0
	for {
		if indent < 0 {
			i += blanks(src[i:])
		}
		if i >= len(src) || src[i] != '\n' {
			return n, newlines
		}
		i++
		newlines++
		if indent >= 0 {
			i = skipIndent(src, i, indent)
		} else {
			i += blanks(src[i:])
		}
		n = i
	}
}

// blanks is how many spaces and tabs a text begins with.
func blanks(s string) int { return len(s) - len(strings.TrimLeft(s, " \t")) }

// indentOf is the indentation of the first line with anything in it.
func indentOf(src string) int {
	for line := range strings.Lines(src) {
		if text := strings.TrimLeft(line, " "); strings.TrimSpace(text) != "" {
			return len(line) - len(text)
		}
	}
	return 0
}

func skipIndent(src string, i, indent int) int {
	for n := 0; n < indent && i < len(src) && src[i] == ' '; n++ {
		i++
	}
	return i
}
