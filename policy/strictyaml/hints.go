package strictyaml

import (
	"cmp"
	"errors"
	"strings"
)

// LookAround is the hint about syntax of which nothing better is known.
const LookAround = "look at quotes, brackets and indentation, here and in the line above; indent with spaces"

// syntaxHints say what to do about what the parser of YAML finds. It has no codes, so these are
// parts of its messages.
var syntaxHints = []struct{ part, hint string }{
	{"'\t'", "indent with spaces: YAML takes no tabs"},
	{"'\\t'", "indent with spaces: YAML takes no tabs"},
	{"quoted text", "close the quotes"},
}

// notAllowed says what to do about a value of a kind that belongs nowhere, wanted about one of
// another kind than belongs there.
var (
	notAllowed = map[Kind]string{Alias: "write the value out", Tag: "leave the tag out"}
	wanted     = map[Kind]string{
		Mapping: "write its keys below it, indented, each as key: value",
		List:    "write a list, as [A, B], or each entry behind a dash, as - name: NAME",
		Number:  "write digits alone, as 3",
		Bool:    "write one of the two, without quotes",
		Scalar:  "write a single value",
	}
)

// explain is what a problem with a cause is, and what to do about it. An error that has a
// method Explain says so itself.
func explain(cause error, text string) (message, hint string) {
	var own interface{ Explain() (message, hint string) }
	var mismatch *MismatchError
	switch {
	case errors.As(cause, &own):
		return own.Explain()
	case errors.As(cause, &mismatch):
		return text, cmp.Or(notAllowed[mismatch.Found], wanted[mismatch.Want])
	case errors.Is(cause, ErrSyntax):
		for _, s := range syntaxHints {
			if strings.Contains(text, s.part) {
				return strings.ReplaceAll(text, "\t", "\\t"), s.hint
			}
		}
		return text, LookAround
	}
	return text, ""
}
