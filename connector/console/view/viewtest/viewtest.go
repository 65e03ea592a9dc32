// Package viewtest tells, for tests, whether a page is written in one language.
package viewtest

import (
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pullprint/policy/reasons"
)

var (
	betweenTags = regexp.MustCompile(`>([^<]+)<|(?:aria-label|placeholder|data-label)="([^"]+)"`)
	// asItIs are elements with what has no language, or is said to be English: names, code, and what the API tells.
	asItIs     = regexp.MustCompile(`<(?:code|[a-z]+[^>]* (?:lang="en"|translate="no"))>[^<]*</`)
	dataOfTest = regexp.MustCompile(`§[a-z]+`)
	letters    = regexp.MustCompile(`\pL\pL`)
)

// saidOn are the texts of a page without the data of a test, which is marked with §.
func saidOn(page string) (texts []string) {
	for _, m := range betweenTags.FindAllStringSubmatch(asItIs.ReplaceAllString(page, "</"), -1) {
		text := strings.TrimSpace(html.UnescapeString(dataOfTest.ReplaceAllString(m[1]+m[2], "")))
		if letters.MatchString(text) {
			texts = append(texts, text)
		}
	}
	return texts
}

// same are texts that are not English alone: names, codes, and what another language says likewise.
var same = []string{
	"pullprint", "· pullprint", reasons.QuotaExhausted, "Printer", "No", "Token", "Audit",
	"Console", "Badges", "Badge", "badge", "Name", "Action", "Condition", "station", "1 page", "center.lab",
}

// OneLanguage fails when a page in the language of a code says something as the same page does in English.
func OneLanguage(t *testing.T, name, code, page, english string) {
	t.Helper()
	if !strings.Contains(page, `<html lang="`+code+`">`) {
		t.Errorf("%s, %s: not said to be in that language", code, name)
	}
	says := saidOn(english)
	for _, text := range saidOn(page) {
		if slices.Contains(says, text) && !slices.Contains(same, text) {
			t.Errorf("%s, %s: %q is English", code, name, text)
		}
	}
}
