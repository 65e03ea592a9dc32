package console

import (
	"testing"
	"time"
)

// The age of the sweep in words.
func TestSweepInWords(t *testing.T) {
	now := time.Now()
	in := newPages(t).Site.Words("en")
	for at, want := range map[time.Time]healthLine{
		{}:                        {Name: "sweep", Text: "not by this instance yet", OK: true},
		now.Add(-time.Minute):     {Name: "sweep", Text: "1 min ago", OK: true},
		now.Add(-4 * time.Minute): {Name: "sweep", Text: "4 min ago"},
	} {
		p := &Pages{Deps: Deps{Swept: func() time.Time { return at }}}
		if got := p.sweep(in, now); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
