package terminal

import (
	"strings"
	"testing"
)

// Control characters, also those of 8 bits that move a cursor, never reach a terminal.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"Zoë's job, 3 pages": "Zoë's job, 3 pages",
		"a\x1b[2Jb\r\nc\td":  "a?[2Jb??c?d",
		"\x00\x7f\u009b31m":  "???31m",
		"\u00a0ÿ":            "\u00a0ÿ",
		"":                   "",
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestCounted(t *testing.T) {
	for n, want := range map[int]string{0: "0 jobs", 1: "1 job", 2: "2 jobs", -1: "-1 jobs"} {
		if got := Counted(n, "job"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestUser(t *testing.T) {
	if who := User(); !strings.HasPrefix(who, "user ") || len(who) == len("user ") {
		t.Errorf("%q", who)
	}
}
