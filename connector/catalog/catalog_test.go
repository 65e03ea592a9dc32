package catalog

import (
	"maps"
	"regexp"
	"slices"
	"strings"
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
		{[]string{"de-CH"}, "de"},
		{[]string{"", "fr-CA, de;q=0.5"}, "fr"},
		{[]string{"zh, pl;q=0.1"}, "pl"},
		{[]string{"zh", "es"}, "es"},
		{[]string{"pt-BR"}, "pt"},
		{[]string{"en-GB", "de"}, "en"},
		{nil, "en"},
		{[]string{"", "*", "\x00"}, "en"},
		{[]string{"tlh"}, "en"},
		{[]string{"en-GB"}, "en"},
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
		{"de", c.Choose("de").Text("%d pages", 1200), "1.200 Seiten"},
		{"de", c.Choose("de").Number(1.5, 2), "1,50"},
		{"de", c.Choose("de").Date(at), "Mo, 2. November 09:05"},
		{"pl", c.Choose("pl").Text("%d pages", 3), "3 strony"},
		{"pl", c.Choose("pl").Text("%d pages", 25), "25 stron"},
		{"fr", c.Choose("fr").Text("%d jobs are printing at %s, not here", 2, "x"), "2 travaux s’impriment sur x, pas ici"},
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

var verb = regexp.MustCompile(`%(?:\[\d\])?[a-z]`)

// verbs are the arguments that a text shows, in order of their numbers.
func verbs(text string) []string {
	list := verb.FindAllString(text, -1)
	for i, v := range list {
		list[i] = v[len(v)-1:]
	}
	slices.Sort(list)
	return list
}

// Each language has the same texts, in the plural forms that its numbers need, and each shows
// what the English one shows.
func TestSameTexts(t *testing.T) {
	c := load(t)
	first := c.languages[1].texts
	if len(c.languages) != 8 || len(first) < 100 {
		t.Fatalf("%d languages, %d texts", len(c.languages), len(first))
	}
	for _, l := range c.languages[1:] {
		if a, b := slices.Sorted(maps.Keys(l.texts)), slices.Sorted(maps.Keys(first)); !slices.Equal(a, b) {
			t.Errorf("%s has other texts than %s", l.Code(), c.languages[1].Code())
		}
		for key, text := range l.texts {
			forms := []string{text.text}
			for i := 1; i < len(text.plural); i += 2 {
				s, _ := text.plural[i].(string)
				forms = append(forms[:min(i/2, len(forms))], s)
			}
			for _, form := range forms {
				// The only one of something may be told without its number.
				if got, want := verbs(form), verbs(key); form == "" || !slices.Equal(got, want) && (len(forms) == 1 || len(want) > 1) {
					t.Errorf("%s: %q shows %v of %q", l.Code(), form, got, key)
				}
			}
			if wants := map[string]int{"pl": 4}[l.Code()]; text.plural != nil && len(text.plural) != 2*max(wants, 2) {
				t.Errorf("%s: %q has %d plural forms", l.Code(), key, len(text.plural)/2)
			}
		}
	}
}

// Apostrophes and quotes are typographic. In French a no-break space is before : ; ! ? and inside « »,
// so that none of them begins a line.
func TestTypography(t *testing.T) {
	wrong := map[string]*regexp.Regexp{"fr": regexp.MustCompile(`[^\x{a0}][:;!?»](\s|$)|«[^\x{a0}]`)}
	for _, l := range load(t).languages[1:] {
		for key, text := range l.texts {
			for _, form := range append([]any{text.text}, text.plural...) {
				s, _ := form.(string)
				if strings.ContainsAny(s, `'"`) || wrong[l.Code()] != nil && wrong[l.Code()].MatchString(s) {
					t.Errorf("%s: %q has a straight quote or a space that breaks: %q", l.Code(), key, s)
				}
			}
		}
	}
}
