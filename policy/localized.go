package policy

import "strings"

// anyLanguage is the language of a text that is in one only.
const anyLanguage = ""

// localized is a text in one language or several, compiled.
type localized struct {
	texts map[string]template // by language in lower case
	first string              // the language that stands first in the file
}

// in is the template for an owner's language: that language, the same without
// its region, that of the file, or the one that stands first.
func (l localized) in(owner, file string) template {
	owner, file = strings.ToLower(owner), strings.ToLower(file)
	for _, name := range []string{owner, withoutRegion(owner), file, withoutRegion(file), anyLanguage} {
		if t, ok := l.texts[name]; ok {
			return t
		}
	}
	return l.texts[l.first]
}

func withoutRegion(language string) string {
	name, _, _ := strings.Cut(language, "-")
	return name
}
