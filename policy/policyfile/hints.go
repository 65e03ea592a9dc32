package policyfile

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/common/operators"

	"pullprint/policy"
	"pullprint/policy/strictyaml"
)

var (
	undefinedField = regexp.MustCompile(`^undefined field '([^']*)'`)
	undeclared     = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	noOverload     = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'`)
	badLiteral     = regexp.MustCompile(`^invalid (matches|timestamp|duration) argument`)
	unexpected     = regexp.MustCompile(
		`^(?:mismatched input|extraneous input|token recognition error at:|` +
			`no viable alternative at input) '(.*?)'(?: expecting.*)?$`)
	wrongType  = regexp.MustCompile(`^expected type 'bool' but found`)
	wordBefore = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_]*)\s*$`)
)

// withHints says what to do where the reader of YAML found what is not YAML, or a value of
// another kind than belongs there.
func withHints(err error) error {
	var ps strictyaml.Problems
	if !errors.As(err, &ps) {
		return err
	}
	for i, p := range ps {
		var mismatch *strictyaml.MismatchError
		switch {
		case p.Hint != "" || p.Cause == nil:
		case errors.Is(p.Cause, strictyaml.ErrSyntax):
			ps[i].Hint = "look at quotes, brackets and indentation, here and in the line above; indent with spaces"
		case errors.As(p.Cause, &mismatch) && mismatch.Want == strictyaml.List:
			ps[i].Hint = "begin each entry with a dash, as - name: night"
		case mismatch != nil && mismatch.Want == strictyaml.Mapping:
			ps[i].Hint = "write each as key: value, on a line of its own"
		}
	}
	return ps
}

// inWords says what CEL found wrong in words for people who write rules, with what to do.
// What the policy found wrong itself is left as it is.
func inWords(f policy.Fault) policy.Fault {
	at := around(f)
	message, hint := plain(f.Message, at)
	if undefinedField.MatchString(f.Message) && strings.HasPrefix(at.from, ".") {
		f.Column++ // to the field from the dot before it
	}
	if f.Message = message; hint != "" {
		f.Hint = hint
	}
	return f
}

// surroundings is what stands before and from the place of an error, in its line.
type surroundings struct{ before, from string }

func around(f policy.Fault) surroundings {
	lines := strings.Split(f.Text, "\n")
	if f.Line > len(lines) {
		return surroundings{}
	}
	line := []rune(lines[f.Line-1])
	at := min(f.Column, len(line))
	return surroundings{string(line[:at]), string(line[at:])}
}

func plain(text string, s surroundings) (message, hint string) {
	if m := undefinedField.FindStringSubmatch(text); m != nil {
		return undefined(m[1], s)
	}
	if m := undeclared.FindStringSubmatch(text); m != nil {
		return unknownName(m[1], s)
	}
	if m := noOverload.FindStringSubmatch(text); m != nil {
		return mismatch(m[1], m[2])
	}
	if strings.HasSuffix(text, "is not a valid time zone") {
		return text, "write it as Europe/Zurich or +01:00"
	}
	if m := badLiteral.FindStringSubmatch(text); m != nil {
		l := literals[m[1]]
		return l.message, l.hint
	}
	if wrongType.MatchString(text) {
		return text, "compare it with something, as job.copies > 10"
	}
	if rest, ok := strings.CutPrefix(text, "Syntax error: "); ok {
		if m := unexpected.FindStringSubmatch(rest); m != nil {
			rest = fmt.Sprintf("unexpected %q", strings.TrimSpace(m[1]))
			if m[1] == "<EOF>" {
				return "syntax error: the expression is not finished", "write what is missing at its end"
			}
		}
		return "syntax error: " + rest, syntaxHint(s)
	}
	return text, ""
}

// literals are what a function takes as text, by its name in CEL.
var literals = map[string]struct{ message, hint string }{
	"matches":   {"this is not a regular expression", "the syntax is that of RE2"},
	"timestamp": {"this is not a time", `write it as timestamp("2026-03-10T12:00:00Z")`},
	"duration":  {"this is not a duration", `write it as duration("72h") or duration("90m")`},
}

func undefined(field string, s surroundings) (text, hint string) {
	var object string
	if m := wordBefore.FindStringSubmatch(s.before); m != nil {
		object = m[1]
	}
	fields, _ := variables(object)
	if len(fields) == 0 {
		return fmt.Sprintf("there is no field %q", field), ""
	}
	return fmt.Sprintf("%s has no field %q", object, field), strictyaml.DidYouMean(field, fields)
}

func unknownName(name string, s surroundings) (text, hint string) {
	rest, _ := strings.CutPrefix(s.from, name)
	if strings.HasPrefix(strings.TrimSpace(rest), "(") || strings.HasPrefix(s.from, "(") {
		text = fmt.Sprintf("there is no function %q", name)
		_, functions := policy.Vocabulary()
		hint = "the guide lists all functions"
		if near := strictyaml.Nearest(name, functions); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return text, hint
	}
	_, topLevel := variables("")
	return fmt.Sprintf("there is no %q", name), strictyaml.DidYouMean(name, topLevel)
}

func mismatch(function, args string) (text, hint string) {
	op, ok := operators.FindReverse(function)
	if !ok || op == "" {
		if function == operators.Conditional {
			op, ok = "? :", true
		}
		if function == operators.Index {
			op, ok = "[ ]", true
		}
	}
	if !ok {
		return fmt.Sprintf("%s can't be used on %s", function, args), "the guide says what it can be used on"
	}
	args = strings.TrimSuffix(strings.TrimPrefix(args, "("), ")")
	if op == "==" || op == "!=" || strings.ContainsAny(op, "<>") {
		hint = "both sides have to be of one type"
	}
	return fmt.Sprintf("%s does not go with %s", op, strings.ReplaceAll(args, ", ", " and ")), hint
}

// syntaxHint knows the slips of those who write another language all day.
func syntaxHint(s surroundings) string {
	word := s.from
	if i := strings.IndexAny(word, " \t("); i > 0 {
		word = word[:i]
	}
	switch {
	case strings.HasPrefix(s.from, "="):
		return "equal is =="
	case strings.HasPrefix(s.from, "&") || strings.EqualFold(word, "and"):
		return "and is &&"
	case strings.HasPrefix(s.from, "|") || strings.EqualFold(word, "or"):
		return "or is ||"
	case strings.EqualFold(word, "not"):
		return "not is !"
	}
	return ""
}

// variables are the fields of an object, as queue, and all names that an expression can
// begin with.
func variables(object string) (fields, topLevel []string) {
	var alone []string
	paths, _ := policy.Vocabulary()
	for _, v := range paths {
		o, field, ok := strings.Cut(v, ".")
		switch {
		case !ok:
			alone = append(alone, v)
		case !slices.Contains(topLevel, o):
			topLevel = append(topLevel, o)
		}
		if ok && o == object {
			fields = append(fields, field)
		}
	}
	return fields, append(topLevel, alone...)
}
