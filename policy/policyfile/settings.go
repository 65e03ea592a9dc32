package policyfile

import (
	"fmt"
	"slices"
	"strings"

	"pullprint/policy"
	"pullprint/policy/strictyaml"
)

// What a rule may set, in the words of Graph's printJobConfiguration.
var (
	colorModes  = []string{"blackAndWhite", "grayscale", "color", "auto"}
	duplexModes = []string{"flipOnLongEdge", "flipOnShortEdge", "oneSided"}
	qualities   = []string{"low", "medium", "high"}
)

// maxCopies is what printers take at most: four digits on their panels.
const maxCopies = 9999

// settings checks what a rule rewrites.
func (l *loader) settings(at string, r ruleFile) {
	s := *r.Set
	if s == (policy.Settings{}) {
		l.doc.Add(at+".set", "write what to change, as set: {colorMode: blackAndWhite}", "the rule sets nothing")
	}
	if r.Verdict != "" {
		l.doc.Add(at+".verdict", "leave it out: a rule that sets goes on with the next rule",
			"the rule has set and a verdict")
	}
	if r.Reason != "" || len(r.Text) > 0 || len(r.Remedy) > 0 || r.IPP != "" {
		l.doc.Add(at+".set", "leave out reason, text and remedy: nothing is refused",
			"the rule has set and words for a refusal")
	}
	at += ".set"
	word := func(key, value string, known []string) {
		if value != "" && !slices.Contains(known, value) {
			l.doc.Add(at+"."+key, strictyaml.DidYouMean(value, known), "%q is not a valid %s", value, key)
		}
	}
	word("colorMode", s.ColorMode, colorModes)
	word("duplexMode", s.DuplexMode, duplexModes)
	word("quality", s.Quality, qualities)
	if s.Copies < 0 || s.Copies > maxCopies {
		l.doc.Add(at+".copies", fmt.Sprintf("write 1 to %d", maxCopies), "copies is out of range")
	}
	if s.PagesPerSheet != 0 && !policy.PerSheet(s.PagesPerSheet) {
		l.doc.Add(at+".pagesPerSheet", "write 1, 2, 4, 6, 8, 9 or 16", "pagesPerSheet is out of range")
	}
	if len(s.MediaSize) > 64 || strings.TrimSpace(s.MediaSize) != s.MediaSize {
		l.doc.Add(at+".mediaSize", "write it as A4", "mediaSize is too long or has spaces around it")
	}
}

// ippKeywords are the job-state-reasons of IPP that a rule may name for its own
// reason, of those that the PWG has registered
// (https://www.iana.org/assignments/ipp-registrations).
var ippKeywords = []string{
	"aborted-by-system", "account-authorization-failed", "account-closed", "account-info-needed", "account-limit-reached",
	"conflicting-attributes", "document-format-error", "document-password-error", "document-permission-error",
	"document-security-error",
	"document-unprintable-error", "errors-detected", "job-canceled-after-timeout", "job-canceled-at-device",
	"job-canceled-by-operator",
	"job-canceled-by-user", "job-held-for-authorization", "job-held-for-review", "job-hold-until-specified",
	"job-outgoing",
	"job-release-wait", "printer-stopped", "resources-are-not-ready", "resources-are-not-supported", "service-off-line",
	"unsupported-attributes-or-values", "unsupported-document-format",
}
