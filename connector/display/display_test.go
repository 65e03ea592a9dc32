package display

import (
	"strings"
	"testing"
)

// A title is shown as the configuration says, in one line, without what is not seen.
func TestTitle(t *testing.T) {
	for _, c := range [][3]string{
		{Full, "Invoice 4711.pdf", "Invoice 4711.pdf"},
		{Masked, "Invoice 4711.pdf", "Inv….pdf"},
		{Masked, "Überweisung", "Übe…"},
		{Masked, "a.pdf", "a.p…"},
		{Masked, "notes.of the meeting", "not…"},
		{Masked, "ab", "ab…"},
		{Masked, "", ""},
		{Hidden, "Invoice 4711.pdf", ""},
		{"", "Invoice 4711.pdf", ""},
		{Full, "\u202efdp.exe\u2066\n\x00second line", "fdp.exe second line"},
		{Masked, "\u202e\u2066abc.pdf", "abc….pdf"},
		{Full, strings.Repeat("é", 200), strings.Repeat("é", maxLength-1) + "…"},
	} {
		if got := Title(c[0], c[1]); got != c[2] {
			t.Errorf("%s %q: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
