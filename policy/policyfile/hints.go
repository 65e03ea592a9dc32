package policyfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/common/operators"

	"pullprint/policy"
	"pullprint/policy/strictyaml"
)

var wordBefore = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_]*)\s*$`)

// wording is what to tell in the place of a message of CEL, and what to do.
type wording func(match []string, s surroundings) (message, hint string)

// wordings are CEL's messages by their form; the first that fits counts.
var wordings = []struct {
	form *regexp.Regexp
	tell wording
}{
	{regexp.MustCompile(`^undefined field '([^']*)'`), undefined},
	{regexp.MustCompile(`^undeclared reference to '([^']*)'`), unknownName},
	{regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'`), mismatch},
	{regexp.MustCompile(`.* is not a valid time zone$`), advised("write it as Europe/Zurich or +01:00")},
	{regexp.MustCompile(`^expected type 'bool' but found.*`), advised("compare it with something, as job.copies > 10")},
	{regexp.MustCompile(`^invalid matches argument`), fixed("this is not a regular expression", "the syntax is that of RE2")},
	{
		regexp.MustCompile(`^invalid timestamp argument`),
		fixed("this is not a time", `write it as timestamp("2026-03-10T12:00:00Z")`),
	},
	{
		regexp.MustCompile(`^invalid duration argument`),
		fixed("this is not a duration", `write it as duration("72h") or duration("90m")`),
	},
	{regexp.MustCompile(`^Syntax error: ` + unexpected + `'<EOF>'`), fixed(
		"syntax error: the expression is not finished", "write what is missing at its end")},
	{regexp.MustCompile(`^Syntax error: ` + unexpected + `'(.*?)'(?: expecting.*)?$`), func(m []string, s surroundings) (_, _ string) {
		return fmt.Sprintf("syntax error: unexpected %q", strings.TrimSpace(m[1])), syntaxHint(s)
	}},
	{regexp.MustCompile(`^Syntax error: (.*)`), func(m []string, s surroundings) (_, _ string) {
		return "syntax error: " + m[1], syntaxHint(s)
	}},
}

// unexpected is how the parser begins when something else should stand there.
const unexpected = `(?:mismatched input|extraneous input|token recognition error at:|no viable alternative at input) `

func fixed(message, hint string) wording {
	return func([]string, surroundings) (string, string) { return message, hint }
}

// advised leaves the message as it is.
func advised(hint string) wording {
	return func(m []string, _ surroundings) (string, string) { return m[0], hint }
}

// inWords says what CEL found wrong in words for people who write rules, with what to do.
// What the policy found wrong itself is left as it is.
func inWords(f policy.Fault) policy.Fault {
	at := around(f)
	message, hint := plain(f.Message, at)
	if strings.HasPrefix(f.Message, "undefined field") && strings.HasPrefix(at.from, ".") {
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
	for _, w := range wordings {
		if m := w.form.FindStringSubmatch(text); m != nil {
			return w.tell(m, s)
		}
	}
	return text, ""
}

func undefined(match []string, s surroundings) (text, hint string) {
	field, object := match[1], ""
	if m := wordBefore.FindStringSubmatch(s.before); m != nil {
		object = m[1]
	}
	fields, _ := variables(object)
	if len(fields) == 0 {
		return fmt.Sprintf("there is no field %q", field), ""
	}
	return fmt.Sprintf("%s has no field %q", object, field), strictyaml.DidYouMean(field, fields)
}

func unknownName(match []string, s surroundings) (text, hint string) {
	name := match[1]
	rest, _ := strings.CutPrefix(s.from, name)
	if strings.HasPrefix(strings.TrimSpace(rest), "(") || strings.HasPrefix(s.from, "(") {
		_, functions := policy.Vocabulary()
		return fmt.Sprintf("there is no function %q", name),
			strictyaml.NearestOr(name, functions, "the guide lists all functions")
	}
	_, topLevel := variables("")
	return fmt.Sprintf("there is no %q", name), strictyaml.DidYouMean(name, topLevel)
}

func mismatch(match []string, _ surroundings) (text, hint string) {
	function, args := match[1], match[2]
	op, ok := operators.FindReverse(function)
	switch {
	case function == operators.Conditional:
		op, ok = "? :", true
	case function == operators.Index:
		op, ok = "[ ]", true
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
