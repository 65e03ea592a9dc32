package config

import (
	"cmp"
	"errors"
	"strings"

	"pullprint/connector/store"
	"pullprint/policy/strictyaml"
)

const (
	remedy    = "look at quotes, brackets and indentation, here and in the line above"
	noTabs    = "indent with spaces: YAML takes no tabs"
	unquoted  = "close the quotes"
	quoteStep = `write a step with a colon in quotes: "pad:10"`
)

// syntax says what to do about what the parser of YAML finds. It has no codes, so these are
// parts of its messages.
var syntax = []struct{ part, hint string }{{"'\t'", noTabs}, {"'\\t'", noTabs}, {"quoted text", unquoted}}

// found says what to do about a value of a kind that belongs nowhere, wanted about one of
// another kind than belongs there.
var (
	found  = map[strictyaml.Kind]string{strictyaml.Alias: "write the value out", strictyaml.Tag: "leave the tag out"}
	wanted = map[strictyaml.Kind]string{
		strictyaml.Mapping: "write its keys below it, indented, each as key: value",
		strictyaml.List:    "begin each entry with a dash, as - name: Follow-Me",
		strictyaml.Number:  "write digits alone, as 3",
		strictyaml.Bool:    "write one of the two, without quotes",
		strictyaml.Scalar:  "write a single value",
	}
)

// expandError is what is wrong with a value that takes something from the environment.
type expandError struct{ message, hint string }

// Error implements error.
func (e *expandError) Error() string { return e.message + "; " + e.hint }

// withHints returns err as people get to see it: each problem says what to do next,
// and shows nothing that looks like a secret.
func withHints(err error) error {
	var ps strictyaml.Problems
	if !errors.As(err, &ps) {
		return err
	}
	for i := range ps {
		p := &ps[i]
		p.Source = mask(p.Source)
		if p.Hint == "" {
			p.Message, p.Hint = explain(*p)
			if p.Hint == remedy && strings.Contains(p.Source, "${") {
				p.Hint = `between { and } a variable stands in quotes: "${NAME}"`
			}
		}
		p.Cause = nil // the hint says it now; problems are compared, and printed as JSON without it
	}
	return err
}

// explain is what a problem without a hint is, and what to do about it.
func explain(p strictyaml.Problem) (message, hint string) {
	var (
		mismatch *strictyaml.MismatchError
		expand   *expandError
		size     *store.SizeError
	)
	switch {
	case errors.As(p.Cause, &expand):
		return expand.message, expand.hint
	case errors.As(p.Cause, &size): // and quotes the value, which may come from the environment
		return "expected a size", "write a whole number with a unit, as 2GiB, 512MiB or 500MB"
	case errors.As(p.Cause, &mismatch):
		if mismatch.Found == strictyaml.Mapping && strings.HasPrefix(p.Key, "badges.normalise[") {
			return p.Message, quoteStep
		}
		return p.Message, cmp.Or(found[mismatch.Found], wanted[mismatch.Want], remedy)
	case errors.Is(p.Cause, strictyaml.ErrSyntax):
		for _, s := range syntax {
			if strings.Contains(p.Message, s.part) {
				return strings.ReplaceAll(p.Message, "\t", "\\t"), s.hint
			}
		}
	}
	return p.Message, remedy
}
