package policyfile

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"pullprint/policy"
)

// localized is a text in one language or several. In the file they are a text, or a
// mapping from language to text: {en: Wait., de: Warten.}.
type localized map[string]string

// anyLanguage is the language of a text that is in one only.
const anyLanguage = ""

// language is the form of a language's name: de, or de-CH.
var language = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// empty reports whether nothing is said in any language.
func (t localized) empty() bool {
	for _, text := range t {
		if strings.TrimSpace(text) != "" {
			return false
		}
	}
	return true
}

// texts checks a text at a path and puts its languages in the order of the file.
func (l *loader) texts(path string, t localized) []policy.Translation {
	inOrder := slices.SortedFunc(maps.Keys(t), func(a, b string) int {
		switch {
		case l.doc.Before(path+"."+a, path+"."+b):
			return -1
		case l.doc.Before(path+"."+b, path+"."+a):
			return 1
		}
		return strings.Compare(a, b)
	})
	list := make([]policy.Translation, 0, len(inOrder))
	for _, name := range inOrder {
		if name != anyLanguage {
			l.refuse(!language.MatchString(name), path+"."+name, "write it as en, de or de-CH", "%q is not a valid language",
				name)
			l.refuse(strings.TrimSpace(t[name]) == "", path+"."+name, "write the text, or leave the language out",
				"nothing is said in %s", name)
		}
		list = append(list, policy.Translation{Language: name, Text: t[name]})
	}
	return list
}
