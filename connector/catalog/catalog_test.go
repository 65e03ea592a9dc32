package catalog

import (
	"testing"
	"time"
)

func load(t *testing.T) *Catalog {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The first wish that is there counts; what is no language is no wish.
func TestChoose(t *testing.T) {
	c := load(t)
	for _, w := range []struct {
		wishes []string
		want   string
	}{
		{nil, "en"}, {[]string{"", "*", "\x00"}, "en"}, {[]string{"tlh"}, "en"}, {[]string{"en-GB"}, "en"},
	} {
		if got := c.Choose(w.wishes...).Code(); got != w.want {
			t.Errorf("%q: %s, want %s", w.wishes, got, w.want)
		}
	}
}

// Plural forms, numbers and days are those of the language.
func TestTexts(t *testing.T) {
	c := load(t)
	at := time.Date(2026, 11, 2, 9, 5, 0, 0, time.UTC)
	for _, w := range []struct{ code, got, want string }{
		{"en", c.Choose("en").Text("%d pages", 1), "1 page"},
		{"en", c.Choose("en").Text("%d pages", 1200), "1,200 pages"},
		{"en", c.Choose("en").Number(1.5, 2), "1.50"},
		{"en", c.Choose("en").Text("not there, %s", "x"), "not there, x"},
		{"en", c.Choose("en").Date(at), "Mon 2 Nov 09:05"},
		{"en", c.Choose("en").Clock(at), "Mon 09:05"},
		{"en", c.Choose("en").Until(at.Add(-8*time.Hour), at), "today 09:05"},
		{"en", c.Choose("en").Until(at.Add(-10*time.Hour), at), "tomorrow 09:05"},
	} {
		if w.got != w.want {
			t.Errorf("%s: %q, want %q", w.code, w.got, w.want)
		}
	}
}

// A day is one of the reader's zone, also when it has 25 hours.
func TestUntil(t *testing.T) {
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 10, 24, 23, 30, 0, 0, zurich) // the next day has 25 hours
	for in, want := range map[time.Duration]string{
		10 * time.Minute: "today 23:40", 24 * time.Hour: "tomorrow 22:30", 25*time.Hour + 29*time.Minute: "tomorrow 23:59",
		26 * time.Hour: "Mon 26 Oct 00:30", -time.Hour: "today 22:30",
	} {
		if got := load(t).Choose().Until(now, now.Add(in)); got != want {
			t.Errorf("in %s: %q, want %q", in, got, want)
		}
	}
}
