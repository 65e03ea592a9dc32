// Package strictyaml reads YAML files that people write by hand into structs
// and says everything that is wrong with them at once, each with its place, the
// line and a caret. A struct is the whole truth: a key that it doesn't have is
// an error that names the nearest one.
package strictyaml

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is one thing that is wrong with a file. Message and Hint never quote
// a value that may be a secret; Source is the line as it stands in the file.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line"`   // from 1; 0 when the file as a whole is meant
	Column int    `json:"column"` // from 1, in characters
	// Key is the path of the value, as queues[1].printer_id; may be empty.
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
	// Hint says what to do next.
	Hint   string `json:"hint,omitempty"`
	Source string `json:"source,omitempty"`
	// Cause tells a program what is wrong: a *MismatchError, an *UnknownKeyError,
	// ErrSyntax, or what a type or the expander made of the value. It may be nil.
	Cause error `json:"-"`
}

// Kind is what a value in YAML is.
type Kind string

// The kinds.
const (
	Mapping Kind = "a mapping"
	List    Kind = "a list"
	Alias   Kind = "an anchor or alias, which this file may not have"
	Tag     Kind = "a tag, which this file may not have"
	Scalar  Kind = "a single value"
	Number  Kind = "a whole number" // a scalar; only wanted
	Bool    Kind = "true or false"  // a scalar; only wanted
)

// MismatchError says that a value is not of the kind that belongs there.
type MismatchError struct{ Want, Found Kind }

// Error implements error.
func (e *MismatchError) Error() string { return fmt.Sprintf("expected %s, found %s", e.Want, e.Found) }

// UnknownKeyError says that a mapping has no such key.
type UnknownKeyError struct {
	Key     string // its path
	Nearest string // the path of the key that may have been meant; may be empty
}

// Error implements error.
func (e *UnknownKeyError) Error() string { return "unknown key " + e.Key }

// ErrSyntax says that a file is not YAML; the message is the parser's.
var ErrSyntax = errors.New("not YAML")

// String is the problem in one line, without the source.
func (p Problem) String() string {
	s := p.Place() + ": " + p.Message
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

// Place is file:line:column, as editors understand it.
func (p Problem) Place() string {
	if p.Line == 0 {
		return p.File
	}
	if p.Column == 0 {
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problems are all that is wrong with a file, in the order of the file. It is
// an error; an empty one must not be returned as such, see Err.
type Problems []Problem

// Err is nil when there are no problems, else the problems sorted by place.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return ps
}

// Error shows each problem with its line and a caret.
func (ps Problems) Error() string {
	var b strings.Builder
	for _, p := range ps {
		fmt.Fprintf(&b, "%s: %s\n", p.Place(), p.Message)
		pad := ""
		if p.Line > 0 && p.Source != "" {
			pad = fmt.Sprintf("%5s | ", "")
			fmt.Fprintf(&b, "%5d | %s\n%s%s^\n", p.Line, p.Source, pad, indentLike(p.Source, p.Column))
		}
		if p.Hint != "" {
			fmt.Fprintf(&b, "        %s\n", p.Hint)
		}
	}
	if len(ps) > 1 {
		fmt.Fprintf(&b, "%d problems\n", len(ps))
	}
	return b.String()
}

// indentLike is the white space before a column, with the tabs of the line.
func indentLike(line string, column int) string {
	var b strings.Builder
	for _, r := range line {
		if column--; column < 1 {
			break
		}
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// minNear is how long a word has to be for another character to be a mistake in it: of two characters nothing
// is left then that tells what was meant. What is shorter may lack one.
const minNear = 3

// Nearest is the one of names that is spelled most like word, or empty when
// none is near.
func Nearest(word string, names []string) string {
	best, at := "", 0
	for _, n := range names {
		d := distance(strings.ToLower(word), strings.ToLower(n))
		limit := max(2, utf8.RuneCountInString(n)/3)
		if have := utf8.RuneCountInString(word); have < minNear {
			limit = min(1, utf8.RuneCountInString(n)-have)
		}
		if d <= limit && (best == "" || d < at) {
			best, at = n, d
		}
	}
	return best
}

// DidYouMean is a hint with the nearest of names, or a list of all of them.
func DidYouMean(word string, names []string) string {
	return NearestOr(word, names, "known here: "+strings.Join(names, ", "))
}

// NearestOr is a hint with the nearest of names, or another when none is near.
func NearestOr(word string, names []string, hint string) string {
	if n := Nearest(word, names); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return hint
}

// distance is the number of characters to change, add or take away.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			next := diagonal
			if x[i] != y[j] {
				next = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(y)]
}
