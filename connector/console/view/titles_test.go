package view

import (
	"strings"
	"testing"
)

// A title is shown as the configuration says, in one line, without what is not seen.
func TestTitled(t *testing.T) {
	for _, c := range [][3]string{
		{TitlesShown, "Invoice 4711.pdf", "Invoice 4711.pdf"},
		{TitlesMasked, "Invoice 4711.pdf", "Inv….pdf"},
		{TitlesMasked, "Überweisung", "Übe…"},
		{TitlesMasked, "a.pdf", "a.p…"},
		{TitlesMasked, "notes.of the meeting", "not…"},
		{TitlesMasked, "ab", "ab…"},
		{TitlesMasked, "", ""},
		{TitlesShown, "\u202efdp.exe\u2066\n\x00second line", "fdp.exe second line"},
		{TitlesMasked, "\u202e\u2066abc.pdf", "abc….pdf"},
		{TitlesShown, strings.Repeat("é", 200), strings.Repeat("é", maxTitle-1) + "…"},
	} {
		if got := titled(c[0], c[1]); got != c[2] {
			t.Errorf("%s %q: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
