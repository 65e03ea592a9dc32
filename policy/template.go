package policy

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// maxText bounds a text and a remedy, as written and as rendered, in characters.
const maxText = 500

// template is text with expressions in double braces.
type template struct {
	parts []part
}

type part struct {
	literal string
	hole    *expression
}

// compileTemplate checks a template.
func compileTemplate(text string) (template, []Fault) {
	var t template
	var faults []Fault
	for rest := text; ; {
		before, after, open := strings.Cut(rest, "{{")
		if before != "" {
			t.parts = append(t.parts, part{literal: before})
		}
		if !open {
			return t, faults
		}
		start := len(text) - len(after)
		end := endOfHole(after)
		if end < 0 {
			return t, append(faults, shift(text, start-2, whole("close it with }}", "{{ without }}"))...)
		}
		source := strings.TrimLeft(after[:end], " \t\r\n")
		skip := end - len(source)
		if source == "" {
			faults = append(faults,
				shift(text, start-2, whole("write an expression, as {{ job.copies }}", "nothing between {{ and }}"))...)
		} else {
			x, wrong := compile(source, "text, a number, true or false, or a time", inWords...)
			faults = append(faults, shift(text, start+skip, wrong)...)
			t.parts = append(t.parts, part{hole: &x})
		}
		rest = after[end+2:]
	}
}

// endOfHole is where the }} stands that closes a hole, or -1: braces within
// braces or strings do not count.
func endOfHole(s string) int {
	depth := 0
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"', c == '\'':
			quote = c
		case c == '{':
			depth++
		case c == '}' && depth > 0:
			depth--
		case c == '}' && strings.HasPrefix(s[i:], "}}"):
			return i
		}
	}
	return -1
}

// shift moves faults in a part of text that begins at a byte offset to text.
func shift(text string, offset int, faults []Fault) []Fault {
	before := text[:offset]
	for i := range faults {
		f := &faults[i]
		if f.Line == 1 {
			f.Column += utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
		}
		f.Line += strings.Count(before, "\n")
	}
	return faults
}

// uses are the variables that holes look at.
func (t template) uses() (set variableSet) {
	for _, p := range t.parts {
		if p.hole != nil {
			set |= p.hole.uses
		}
	}
	return set
}

// render fills in the template; an expression that fails is left out, and the first
// error is returned.
func (t template) render(ev *evaluation) (string, error) {
	switch {
	case len(t.parts) == 0:
		return "", nil
	case len(t.parts) == 1 && t.parts[0].hole == nil:
		return t.parts[0].literal, nil
	}
	var b strings.Builder
	var first error
	for _, p := range t.parts {
		if p.hole == nil {
			b.WriteString(p.literal)
			continue
		}
		v, err := ev.value(p.hole)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		b.WriteString(textOf(v))
	}
	return bounded(b.String()), first
}

// bounded cuts what a hole made too long.
func bounded(s string) string {
	if len(s) <= maxText || utf8.RuneCountInString(s) <= maxText {
		return s
	}
	return string([]rune(s)[:maxText-1]) + "…"
}

// textOf is a value as a person reads it: times in UTC, numbers with at most
// two digits after the point, no control characters.
func textOf(v ref.Val) string {
	switch v := v.(type) {
	case types.String:
		return oneLine(string(v))
	case types.Bool:
		return strconv.FormatBool(bool(v))
	case types.Int:
		return strconv.FormatInt(int64(v), 10)
	case types.Uint:
		return strconv.FormatUint(uint64(v), 10)
	case types.Double:
		return digits(float64(v))
	case types.Timestamp:
		return v.UTC().Format("2006-01-02 15:04 MST")
	}
	return ""
}

func digits(f float64) string {
	s := strconv.FormatFloat(f, 'f', 2, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// oneLine keeps what comes from a job from breaking the sentence it stands in.
func oneLine(s string) string {
	s = strings.ToValidUTF8(s, "")
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
}
