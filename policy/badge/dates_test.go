package badge

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// A date alone is the last day of a badge, in the zone that the import is told.
func TestLastDay(t *testing.T) {
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	zone := map[string]*time.Location{"Zurich": zurich, "none": nil}
	for name, z := range zone {
		day := func(d, h, m int) time.Time {
			in := z
			if in == nil {
				in = time.UTC
			}
			return time.Date(2026, 12, d, h, m, 0, 0, in)
		}
		e := enrolment("")
		dated := 0
		e.Now, e.Zone, e.Dated = day(24, 9, 0), z, func() { dated++ } // imported on that very day, too
		b := newRegistry(t, newMemory(), keyLine('a'))
		file := "badge,owner,expires\n" + number + "," + ada + ",2026-12-24\n"
		if n, err := b.Import(t.Context(), strings.NewReader(file), e); n != 1 || err != nil || dated != 1 {
			t.Fatalf("%s: %d %v, told %d times", name, n, err, dated)
		}
		for _, at := range []time.Time{day(24, 9, 0), day(24, 12, 0), day(24, 23, 59)} {
			if _, err := b.Resolve(t.Context(), number, at); err != nil {
				t.Errorf("%s: shown at %s: %v", name, at, err)
			}
		}
		if got, err := b.Resolve(t.Context(), number, day(25, 0, 0)); !errors.Is(err, ErrExpired) {
			t.Errorf("%s: shown the day after: %+v %v", name, got, err)
		}
		if _, err := b.Import(t.Context(), strings.NewReader("badge,owner,expires\n7700,"+ada+",2026-12-23\n"), e); err == nil {
			t.Errorf("%s: a day that is over", name)
		}
		file = "badge,owner,expires\n7700," + ada + ",2026-12-24T12:00:00Z\n"
		if _, err := b.Import(t.Context(), strings.NewReader(file), e); err != nil || dated != 1 {
			t.Errorf("%s: a time: %v, told %d times", name, err, dated)
		}
	}
}
