package badge

import (
	"slices"
	"strings"
	"unicode"
)

// layouts are what a host with a keyboard layout reads of the keys 1 to 9 and 0 of a
// reader that types as a keyboard of the United States, and of other keys where that
// matters: pairs of what is read and what was meant. Small and capital letters are as
// the step upper leaves them.
var layouts = map[string]struct {
	digits string // what is read of 1234567890; empty where digits are digits
	others string
}{
	"fr": {`&é"'(-è_çà`, "qaQAaqAQzwZWwzWZm;,m"},
	"be": {`&é"'(§è!çà`, "qaQAaqAQzwZWwzWZm;,m"},
	"cz": {"+ěščřžýáíé", "yzYZzyZY"},
	"sk": {"+ľščťžýáíé", "yzYZzyZY"},
	"hu": {"", "ö0Ö0yzYZzyZY"},
	"de": {"", "yzYZzyZY"},
}

// layout undoes the keyboard layout of the host that a typing reader is plugged into.
func layout(name string) (func(string) (string, error), error) {
	l, ok := layouts[name]
	if !ok {
		var known []string
		for n := range layouts {
			known = append(known, n)
		}
		slices.Sort(known)
		return nil, &useError{hint: "write layout: with one of " + strings.Join(known, ", ")}
	}
	meant := map[rune]rune{}
	for i, r := range []rune(l.digits) {
		meant[r] = rune("1234567890"[i])
		meant[unicode.ToUpper(r)] = meant[r]
	}
	pairs := []rune(l.others)
	for i := 0; i < len(pairs); i += 2 {
		meant[pairs[i]] = pairs[i+1]
	}
	return func(s string) (string, error) {
		return strings.Map(func(r rune) rune {
			if m, ok := meant[r]; ok {
				return m
			}
			return r
		}, s), nil
	}, nil
}

// hexDigits keeps the hexadecimal digits: a reader may put marks around a number, as
// the ; and ? of a magnetic stripe, or 0x in front.
func hexDigits(s string) (string, error) {
	if rest, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		s = s[len(s)-len(rest):]
	}
	return strings.Map(only("0123456789abcdefABCDEF"), s), nil
}

// visible is a number without the control and format characters in it, as STX, ETX, NUL
// and byte order marks, which readers and clipboards put there and nobody sees. They
// never tell one card from another.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || unicode.IsControl(r) && !unicode.IsSpace(r) {
			return -1
		}
		if unicode.IsControl(r) {
			return ' ' // a tab, or the end of a line: white space, for trim
		}
		return r
	}, s)
}

// Odd says what no card has in a number that a chain made, or nothing: a sign that the
// reader's keyboard layout is another than that of the host, or that it puts marks
// around a number. It never quotes the number.
func Odd(canonical string) string {
	odd := strings.ContainsFunc(canonical, func(r rune) bool {
		return r >= 0x80 || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(":-._/ ", r)
	})
	if !odd {
		return ""
	}
	return "the number has characters that no card has; the reader may type in another keyboard layout than this host, " +
		"or put marks around a number: see the page on readers, and set badges.normalise"
}
