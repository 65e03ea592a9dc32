package policy

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"pullprint/policy/strictyaml"
)

// places finds where in a YAML file a character of a scalar's value stands,
// whether the scalar is plain, quoted, or a block. It is made when the first
// fault within a scalar is found: a policy that loads never needs it.
type places struct {
	name  string
	src   string
	file  *ast.File
	lines []string
}

func newPlaces(name string, src []byte) (p *places) {
	p = &places{name: name, src: string(src), lines: strings.Split(string(src), "\n")}
	defer func() {
		if recover() != nil { // the parser does, on some input that is no YAML
			p.file = nil
		}
	}()
	file, err := parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
	if err == nil {
		p.file = file
	}
	return p
}

// problem is a fault within the scalar at path, as rules[1].when, at its place
// in the file. When that can't be found it is the place of the scalar; it is
// not ok when there is none.
func (p *places) problem(path string, f fault) (out strictyaml.Problem, ok bool) {
	value, tok := p.scalar(path)
	if tok == nil {
		return out, false
	}
	out = strictyaml.Problem{File: p.name, Key: path, Message: f.message, Hint: f.hint}
	out.Line, out.Column = tok.Position.Line, tok.Position.Column
	if start, ok := p.offset(tok.Position); ok {
		if at, ok := align(p.src, start, style(tok), value, offsetIn(value, f)); ok {
			before := p.src[:at]
			out.Line = 1 + strings.Count(before, "\n")
			out.Column = 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
		}
	}
	if out.Line >= 1 && out.Line <= len(p.lines) {
		out.Source = p.lines[out.Line-1]
	}
	return out, true
}

// scalar is the value at path and the token it begins with.
func (p *places) scalar(path string) (string, *token.Token) {
	if p.file == nil {
		return "", nil
	}
	yp, err := yaml.PathString("$." + path)
	if err != nil {
		return "", nil
	}
	node, err := yp.FilterFile(p.file)
	if err != nil || node == nil || node.GetToken() == nil || node.GetToken().Position == nil {
		return "", nil
	}
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, n.GetToken()
	case *ast.LiteralNode:
		return n.Value.Value, n.GetToken()
	}
	return node.GetToken().Value, node.GetToken()
}

// offset is that of a position in the file, in bytes.
func (p *places) offset(at *token.Position) (int, bool) {
	if at.Line < 1 || at.Line > len(p.lines) {
		return 0, false
	}
	offset := 0
	for _, line := range p.lines[:at.Line-1] {
		offset += len(line) + 1
	}
	column := at.Column - 1
	for i := range p.lines[at.Line-1] {
		if column == 0 {
			return offset + i, true
		}
		column--
	}
	return 0, false
}

// offsetIn is where in value a fault stands, in bytes.
func offsetIn(value string, f fault) int {
	offset := 0
	for range f.line - 1 {
		i := strings.IndexByte(value[offset:], '\n')
		if i < 0 {
			return len(value)
		}
		offset += i + 1
	}
	for column := f.column; column > 0 && offset < len(value) && value[offset] != '\n'; column-- {
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
			for i < len(src) && (src[i] == ' ' || src[i] == '\t') {
				i++
			}
		}
		if i >= len(src) || src[i] != '\n' {
			return n, newlines
		}
		i++
		newlines++
		if indent >= 0 {
			i = skipIndent(src, i, indent)
		} else {
			i += len(src[i:]) - len(strings.TrimLeft(src[i:], " \t"))
		}
		n = i
	}
}

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
