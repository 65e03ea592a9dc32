package policy

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// words are a text in one language or several. In the file they are a text, or a
// mapping from language to text: {en: Wait., de: Warten.}.
type words map[string]string

// anyLanguage is the language of words that are in one only.
const anyLanguage = ""

// language is the form of a language's name: de, or de-CH.
var language = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// empty reports whether nothing is said in any language.
func (w words) empty() bool {
	for _, text := range w {
		if strings.TrimSpace(text) != "" {
			return false
		}
	}
	return true
}

// spoken are compiled words, by language in lower case.
type spoken map[string]template

// in is the template for an owner's language: that language, the same without
// its region, the one of the file, or whatever there is.
func (s spoken) in(owner, file string) template {
	owner, file = strings.ToLower(owner), strings.ToLower(file)
	for _, name := range []string{owner, firstPart(owner), file, firstPart(file), anyLanguage} {
		if t, ok := s[name]; ok {
			return t
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		return s[name]
	}
	return template{}
}

func firstPart(language string) string {
	part, _, _ := strings.Cut(language, "-")
	return part
}

// spoken compiles words at a path.
func (l *loader) spoken(path string, w words) spoken {
	if len(w) == 0 {
		return nil
	}
	s := make(spoken, len(w))
	for _, name := range slices.Sorted(maps.Keys(w)) {
		at := path
		if name != anyLanguage {
			at += "." + name
			l.policy.languages = true
			if !language.MatchString(name) {
				l.doc.Add(at, "write it as en, de or de-CH", "%q is no language", name)
			}
			if strings.TrimSpace(w[name]) == "" {
				l.doc.Add(at, "write the text, or leave the language out", "nothing is said in %s", name)
			}
		}
		s[strings.ToLower(name)] = l.template(at, w[name])
	}
	return s
}
