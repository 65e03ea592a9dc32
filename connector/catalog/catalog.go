// Package catalog has the texts that people read on pages, in their languages. A text is
// named by its English wording; a file of texts for each language has the others, and
// whatever it lacks stays English. What a policy says is not here: policies have their own
// languages.
package catalog

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"
)

//go:embed texts
var files embed.FS

// Catalog is all texts in all languages. It is safe for concurrent use.
type Catalog struct {
	languages []Language // English first
	matcher   language.Matcher
}

// Load reads the texts. An error is a mistake in a file of this package.
func Load() (*Catalog, error) {
	entries, err := files.ReadDir("texts")
	if err != nil {
		return nil, err
	}
	builder, tags := catalog.NewBuilder(catalog.Fallback(language.English)), []language.Tag{language.English}
	texts := map[language.Tag]map[string]text{}
	for _, e := range entries {
		tag, err := language.Parse(strings.TrimSuffix(e.Name(), ".json"))
		if err != nil {
			return nil, fmt.Errorf("texts/%s: %w", e.Name(), err)
		}
		if tag != language.English {
			tags = append(tags, tag)
		}
		if texts[tag], err = read(path.Join("texts", e.Name())); err != nil {
			return nil, err
		}
		if err := set(builder, tag, texts[tag]); err != nil {
			return nil, fmt.Errorf("texts/%s: %w", e.Name(), err)
		}
	}
	c := &Catalog{matcher: language.NewMatcher(tags)}
	for _, t := range tags {
		c.languages = append(c.languages, Language{t, message.NewPrinter(t, message.Catalog(builder)), texts[t]})
	}
	return c, nil
}

// set adds the texts of one language.
func set(to *catalog.Builder, tag language.Tag, texts map[string]text) error {
	for key, t := range texts {
		m := catalog.Message(catalog.String(t.text))
		if t.plural != nil {
			m = plural.Selectf(1, "%d", t.plural...)
		}
		if err := to.Set(tag, key, m); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	return nil
}

// text is one text: the same for all numbers, or one for each plural form of the first
// argument, as plural.Selectf takes them.
type text struct {
	text   string
	plural []any
}

func read(file string) (map[string]text, error) {
	src, err := files.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var texts map[string]text
	if err := json.Unmarshal(src, &texts); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return texts, nil
}

// forms are the plural forms of CLDR that a file may have, in its order.
var forms = []string{"zero", "one", "two", "few", "many", "other"}

// UnmarshalJSON reads a text, or an object of plural forms.
func (t *text) UnmarshalJSON(src []byte) error {
	if src[0] == '"' {
		return json.Unmarshal(src, &t.text)
	}
	var byForm map[string]string
	if err := json.Unmarshal(src, &byForm); err != nil {
		return err
	}
	for _, form := range forms {
		if s, ok := byForm[form]; ok {
			t.plural = append(t.plural, form, s)
			delete(byForm, form)
		}
	}
	if len(byForm) > 0 {
		return fmt.Errorf("no plural forms: %v", byForm)
	}
	return nil
}

// Languages are the codes of all languages, as de, in the order of the alphabet. It reads no text.
func Languages() (codes []string) {
	entries, _ := files.ReadDir("texts") // which is part of the program
	for _, e := range entries {
		codes = append(codes, strings.TrimSuffix(e.Name(), ".json"))
	}
	return codes
}

// Choose is the language of the first of the wishes that is there, else English. A wish is a
// language tag as de-CH, or a whole Accept-Language header; what is neither is no wish.
func (c *Catalog) Choose(wishes ...string) Language {
	for _, w := range wishes {
		tags, _, err := language.ParseAcceptLanguage(w)
		if err != nil || len(tags) == 0 {
			continue
		}
		if _, i, confidence := c.matcher.Match(tags...); confidence >= language.High {
			return c.languages[i]
		}
	}
	return c.languages[0]
}
