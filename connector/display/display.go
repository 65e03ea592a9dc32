// Package display makes names that people gave fit to be shown to others: in one line, of bounded length,
// and titles of documents as the configuration allows.
package display

import (
	"path"
	"strings"
	"unicode"
)

// maxLength is how many characters of a name are shown: two lines on a phone.
const maxLength = 80

// Plain is a name in one line, without invisible characters, such as those that change the direction of
// writing.
func Plain(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsGraphic(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, name)
	if r := []rune(name); len(r) > maxLength {
		name = string(r[:maxLength-1]) + "…"
	}
	return strings.TrimSpace(name)
}

// How titles of documents are shown: in full, masked, or not at all.
const (
	Full   = "shown"
	Masked = "masked"
	Hidden = "hidden"
)

// maxExtension is the longest end of a name that counts as its extension, with the point.
const maxExtension = 6

// Title is a title as it is shown; empty when it is not. Masked are its first three characters and its
// extension.
func Title(how, title string) string {
	title = Plain(title)
	r := []rune(title)
	switch {
	case how == Full || len(r) == 0:
		return title
	case how != Masked:
		return ""
	}
	ext := path.Ext(title)
	if n := len([]rune(ext)); n < 2 || n > maxExtension || n > len(r)-3 {
		ext = ""
	}
	return string(r[:min(3, len(r))]) + "…" + ext
}
