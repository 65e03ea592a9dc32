package config

import (
	"errors"
	"strings"

	"pullprint/policy/strictyaml"
)

// remedies say what to do about what a reader of YAML finds, by a part of its
// message; the first that fits.
var remedies = []struct{ part, hint string }{
	{"an anchor or alias", "write the value out"},
	{"a tag, which", "leave the tag out"},
	{"expected a mapping", "write its keys below it, indented, each as key: value"},
	{"expected a list", "begin each entry with a dash, as - name: Follow-Me"},
	{"expected a whole number", "write digits alone, as 3"},
	{"expected true or false", "write one of the two, without quotes"},
	{"expected a ", "write a single value"},
	{"'\t'", "indent with spaces: YAML takes no tabs"},
	{"'\\t'", "indent with spaces: YAML takes no tabs"},
	{"quoted text", "close the quotes"},
}

const remedy = "look at quotes, brackets and indentation, here and in the line above"

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
		if strings.HasPrefix(p.Key, "badges.normalise[") && strings.Contains(p.Message, "found a mapping") {
			p.Hint = `write a step with a colon in quotes: "pad:10"`
		}
		if p.Hint == "" {
			p.Message, p.Hint = split(p.Message)
			if p.Hint == remedy && strings.Contains(p.Source, "${") {
				p.Hint = `between { and } a variable stands in quotes: "${NAME}"`
			}
		}
	}
	return err
}

// split takes what to do out of a message, or finds it.
func split(message string) (string, string) {
	if what, next, ok := strings.Cut(message, "; "); ok {
		return what, next
	}
	if strings.HasPrefix(message, "size ") { // and quotes the value, which may come from the environment
		return "expected a size", "write a whole number with a unit, as 2GiB, 512MiB or 500MB"
	}
	for _, r := range remedies {
		if strings.Contains(message, r.part) {
			return strings.ReplaceAll(message, "\t", "\\t"), r.hint
		}
	}
	return message, remedy
}
