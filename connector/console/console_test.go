package console

import (
	"testing"
	"time"
)

// Amounts are told with their unit once.
func TestPlainWords(t *testing.T) {
	for _, c := range [][3]string{
		{"10 pages", "30 pages", "10 of 30"},
		{"1 page", "30 pages", "1 of 30"},
		{"-1.50 CHF", "20.00 CHF", "-1.50 of 20.00"},
		{"2", "7 pages", "2 of 7 pages"},
	} {
		if got := part(c[0], c[1]); got != c[2] {
			t.Errorf("%s and %s: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

// The age of the sweep in words.
func TestSweepInWords(t *testing.T) {
	now := time.Now()
	for at, want := range map[time.Time]healthLine{
		{}:                        {"sweep", "not by this instance yet", true},
		now.Add(-time.Minute):     {"sweep", "1 min ago", true},
		now.Add(-4 * time.Minute): {"sweep", "4 min ago", false},
	} {
		p := &Pages{Deps: Deps{Swept: func() time.Time { return at }}}
		if got := p.sweep(now); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
