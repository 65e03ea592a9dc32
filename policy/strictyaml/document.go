package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Document is a file that was read: it knows where each value stands.
type Document struct {
	name   string
	src    string
	lines  []string            // of src
	nodes  map[string]ast.Node // by path
	keys   map[string]*token.Token
	expand func(string) (string, error)

	problems Problems
}

// plainText is src as Decode reads it, and as the places of problems count: without
// a byte order mark, which Windows editors begin a file with, and with line
// feeds alone.
func plainText(src []byte) []byte {
	return bytes.ReplaceAll(bytes.TrimPrefix(src, []byte("\ufeff")), []byte("\r\n"), []byte("\n"))
}

// Decode reads src into the struct that into points to, by its yaml tags.
// expand, when not nil, is applied to each scalar. Whatever can be read is read,
// also when there are problems; the caller adds its own with Add and returns
// Err.
func Decode(name string, src []byte, into any, expand func(string) (string, error)) *Document {
	src = plainText(src)
	d := &Document{
		name: name, src: string(src), lines: strings.Split(string(src), "\n"),
		nodes: map[string]ast.Node{}, keys: map[string]*token.Token{}, expand: expand,
	}
	if !utf8.Valid(src) {
		d.notText(src)
		return d
	}
	body, ok := d.parse(src)
	if !ok || body == nil {
		return d
	}
	d.value("", body, reflect.ValueOf(into).Elem())
	return d
}

// notText notes the first byte that is no character. Its line is shown with a
// mark in place of what can't be shown.
func (d *Document) notText(src []byte) {
	at := &token.Position{Line: 1, Column: 1}
	for len(src) > 0 {
		r, n := utf8.DecodeRune(src)
		if r == utf8.RuneError && n == 1 {
			break
		}
		at.Column++
		if r == '\n' {
			at.Line, at.Column = at.Line+1, 1
		}
		src = src[n:]
	}
	d.lines[at.Line-1] = strings.ToValidUTF8(d.lines[at.Line-1], "\ufffd")
	d.problem(&token.Token{Position: at}, "", "the file is not UTF-8 text", "save it as UTF-8")
}

// parse reads the syntax. When there is no place to a problem, it is the
// beginning of the file.
func (d *Document) parse(src []byte) (body ast.Node, ok bool) {
	f, err := parse(src)
	if err != nil {
		at, message := &token.Token{Position: &token.Position{Line: 1, Column: 1}}, "the file can't be read as YAML"
		var se *yaml.SyntaxError
		if errors.As(err, &se) && se.Token != nil {
			at, message = se.Token, se.Message
		}
		d.caused(ErrSyntax, at, "", message)
		return nil, false
	}
	var bodies []ast.Node
	for _, doc := range f.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType && doc.Body.Type() != ast.CommentGroupType {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return nil, true
	case 1:
		return bodies[0], true
	}
	d.problem(first(bodies[1]), "", "a second YAML document", "keep one document in the file")
	return bodies[0], true
}

var errParser = errors.New("the parser gave up")

// parse is the parser. Should it panic on what is no YAML, that is a problem of
// the file like any other.
func parse(src []byte) (f *ast.File, err error) {
	defer func() {
		if recover() != nil {
			f, err = nil, errParser
		}
	}()
	return parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
}

// Has reports whether the file has a value at path, null included.
func (d *Document) Has(path string) bool { return d.nodes[path] != nil }

// Add notes a problem with the value at path, as queues[1].name. When the file
// has no such value, the place is that of the nearest one around it.
func (d *Document) Add(path, hint, format string, args ...any) {
	d.problem(d.place(path), path, fmt.Sprintf(format, args...), hint)
}

// Err is all problems so far as one error, or nil.
func (d *Document) Err() error { return d.problems.Err() }

// At is the line in which the value at path stands; 0 when there is none.
func (d *Document) At(path string) (line int) {
	if t := d.place(path); t != nil {
		return t.Position.Line
	}
	return 0
}

// Before reports whether the value at path a stands before that at b in the file.
func (d *Document) Before(a, b string) bool {
	x, y := d.place(a), d.place(b)
	return x != nil && y != nil && x.Position.Offset < y.Position.Offset
}

func (d *Document) place(path string) *token.Token {
	for {
		if n := d.nodes[path]; n != nil {
			switch n.(type) {
			case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
				if k := d.keys[path]; k != nil {
					return k
				}
			}
			return first(n)
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return nil
		}
		path = path[:i]
	}
}

// first is the token with which a node begins.
func first(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 && !n.IsFlowStyle {
			return first(n.Values[0])
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	case *ast.SequenceNode:
		if len(n.Values) > 0 && !n.IsFlowStyle {
			return first(n.Values[0])
		}
	}
	return n.GetToken()
}

func (d *Document) problem(t *token.Token, key, message, hint string) {
	d.problems = append(d.problems, d.at(t, key, message, hint))
}

// caused notes a problem that its cause says what to do about.
func (d *Document) caused(cause error, t *token.Token, key, message string) {
	message, hint := explain(cause, message)
	p := d.at(t, key, message, hint)
	p.Cause = cause
	d.problems = append(d.problems, p)
}

// mismatch notes that the value at path is none of the kind that is wanted.
func (d *Document) mismatch(n ast.Node, path string, want Kind, message string) {
	d.caused(&MismatchError{Want: want, Found: kind(n)}, first(n), path, message)
}

func (d *Document) at(t *token.Token, key, message, hint string) Problem {
	p := Problem{File: d.name, Key: key, Message: message, Hint: hint}
	if t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
		p.Source = d.line(p.Line)
	}
	return p
}

func (d *Document) line(n int) string {
	if n < 1 || n > len(d.lines) {
		return ""
	}
	return d.lines[n-1]
}
