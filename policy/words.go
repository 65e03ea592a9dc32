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

// spoken are compiled words.
type spoken struct {
	texts map[string]template // by language in lower case
	first string              // the language that stands first in the file
}

// in is the template for an owner's language: that language, the same without
// its region, that of the file, or the one that stands first.
func (s spoken) in(owner, file string) template {
	owner, file = strings.ToLower(owner), strings.ToLower(file)
	for _, name := range []string{owner, firstPart(owner), file, firstPart(file), anyLanguage} {
		if t, ok := s.texts[name]; ok {
			return t
		}
	}
	return s.texts[s.first]
}

func firstPart(language string) string {
	part, _, _ := strings.Cut(language, "-")
	return part
}

// spoken compiles words at a path.
func (l *loader) spoken(path string, w words) spoken {
	s := spoken{texts: make(map[string]template, len(w))}
	inOrder := slices.SortedFunc(maps.Keys(w), func(a, b string) int {
		switch {
		case l.doc.Before(path+"."+a, path+"."+b):
			return -1
		case l.doc.Before(path+"."+b, path+"."+a):
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, name := range inOrder {
		at := path
		if name != anyLanguage {
			at += "." + name
			l.policy.languages = true
			if !language.MatchString(name) {
				l.doc.Add(at, "write it as en, de or de-CH", "%q is not a valid language", name)
			}
			if strings.TrimSpace(w[name]) == "" {
				l.doc.Add(at, "write the text, or leave the language out", "nothing is said in %s", name)
			}
		}
		s.texts[strings.ToLower(name)] = l.template(at, w[name])
	}
	if len(inOrder) > 0 {
		s.first = strings.ToLower(inOrder[0])
	}
	if l.policy.language == "" {
		l.policy.language = s.first // one language for all texts of a file that names none
	}
	return s
}
