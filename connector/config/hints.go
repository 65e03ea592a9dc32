package config

import (
	"errors"
	"strings"

	"pullprint/policy/strictyaml"
)

// expandError is what is wrong with a value that takes something from the environment.
type expandError struct{ message, hint string }

// Error implements error.
func (e *expandError) Error() string { return e.message + "; " + e.hint }

// Explain says what is wrong and what to do.
func (e *expandError) Explain() (message, hint string) { return e.message, e.hint }

// withHints returns err as people get to see it: it shows nothing that looks like a secret, and
// says more about what is peculiar to this file.
func (k *checker) withHints(err error) error {
	var ps strictyaml.Problems
	if !errors.As(err, &ps) {
		return err
	}
	for i := range ps {
		p := &ps[i]
		p.Source = mask(p.Source, k.dir, k.doc.Has(p.Key) && secretFile.MatchString(p.Key))
		var mismatch *strictyaml.MismatchError
		switch {
		case p.Hint == strictyaml.LookAround && strings.Contains(p.Source, "${"):
			p.Hint = `between { and } a variable stands in quotes: "${NAME}"`
		case errors.As(p.Cause, &mismatch) && mismatch.Found == strictyaml.Mapping &&
			strings.HasPrefix(p.Key, "badges.normalise["):
			p.Hint = `write a step with a colon in quotes: "pad:10"`
		}
		p.Cause = nil // the hint says it now; problems are compared
	}
	return err
}
