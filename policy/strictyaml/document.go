package strictyaml

import (
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
	lines  []string
	nodes  map[string]ast.Node // by path
	keys   map[string]*token.Token
	expand func(string) (string, error)

	problems Problems
}

// Decode reads src into the struct that into points to, by its yaml tags.
// expand, when not nil, is applied to each scalar. Whatever can be read is read,
// also when there are problems; the caller adds its own with Add and returns
// Err.
func Decode(name string, src []byte, into any, expand func(string) (string, error)) *Document {
	d := &Document{
		name: name, lines: strings.Split(strings.ReplaceAll(string(src), "\r\n", "\n"), "\n"),
		nodes: map[string]ast.Node{}, keys: map[string]*token.Token{}, expand: expand,
	}
	if !utf8.Valid(src) {
		d.problem(nil, "", "the file is not UTF-8 text", "save it as UTF-8")
		return d
	}
	body, ok := d.parse(src)
	if !ok || body == nil {
		return d
	}
	d.value("", body, reflect.ValueOf(into).Elem())
	return d
}

// parse reads the syntax. The parser panics on some input that is no YAML;
// that is a problem of the file like any other.
func (d *Document) parse(src []byte) (body ast.Node, ok bool) {
	defer func() {
		if recover() != nil {
			d.problem(nil, "", "the file can't be read as YAML", "")
			body, ok = nil, false
		}
	}()
	f, err := parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var se *yaml.SyntaxError
		if errors.As(err, &se) {
			d.problem(se.Token, "", se.Message, "")
		} else {
			d.problem(nil, "", "the file can't be read as YAML", "")
		}
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
	d.problem(bodies[1].GetToken(), "", "a second YAML document", "keep one document in the file")
	return bodies[0], true
}

// Has reports whether the file has a value at path, null included.
func (d *Document) Has(path string) bool { return d.nodes[path] != nil }

// Add notes a problem with the value at path, as queues[1].name. When the file
// has no such value, the place is that of the nearest one around it.
func (d *Document) Add(path, hint, format string, args ...any) {
	d.problem(d.place(path), path, fmt.Sprintf(format, args...), hint)
}

// AddInside notes a problem within a scalar: line from 1 and column from 0 are
// those within its text.
func (d *Document) AddInside(path string, line, column int, hint, format string, args ...any) {
	p := d.at(d.place(path), path, fmt.Sprintf(format, args...), hint)
	switch n := d.nodes[path].(type) {
	case *ast.LiteralNode:
		p.Line += line
		p.Column = 1 + column
		if p.Line <= len(d.lines) {
			p.Column += len(d.lines[p.Line-1]) - len(strings.TrimLeft(d.lines[p.Line-1], " "))
		}
	case *ast.StringNode:
		if line == 1 {
			if t := n.GetToken().Type; t == token.SingleQuoteType || t == token.DoubleQuoteType {
				p.Column++
				column += escapes(n.Value, column, t)
			}
			p.Column += column
		} else {
			p.Line += line - 1
		}
	}
	p.Source = d.line(p.Line)
	d.problems = append(d.problems, p)
}

// escapes is by how much the text before a column is longer as it stands in
// quotes.
func escapes(value string, column int, quote token.Type) int {
	n := 0
	for i, r := range []rune(value) {
		if i >= column {
			break
		}
		if (quote == token.SingleQuoteType && r == '\'') || (quote == token.DoubleQuoteType && (r == '"' || r == '\\')) {
			n++
		}
	}
	return n
}

// Err is all problems so far as one error, or nil.
func (d *Document) Err() error { return d.problems.Err() }

// At is where the value at path stands, as file:line.
func (d *Document) At(path string) (line int) {
	if t := d.place(path); t != nil {
		return t.Position.Line
	}
	return 0
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
