package policyfile

import (
	"fmt"
	"strings"

	"pullprint/policy"
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
	l.refuse(s == policy.Settings{}, at+".set", "write what to change, as set: {colorMode: blackAndWhite}",
		"the rule sets nothing")
	l.refuse(r.Verdict != "", at+".verdict", "leave it out: a rule that sets goes on with the next rule",
		"the rule has set and a verdict")
	at += ".set"
	l.refuse(r.Reason != "" || len(r.Text) > 0 || len(r.Remedy) > 0 || r.IPP != "", at,
		"leave out reason, text and remedy: nothing is refused", "the rule has set and words for a refusal")
	oneOf(l, at+".colorMode", s.ColorMode, "colorMode", colorModes...)
	oneOf(l, at+".duplexMode", s.DuplexMode, "duplexMode", duplexModes...)
	oneOf(l, at+".quality", s.Quality, "quality", qualities...)
	l.refuse(s.Copies < 0 || s.Copies > maxCopies, at+".copies", fmt.Sprintf("write 1 to %d", maxCopies),
		"copies is out of range")
	l.perSheet(at+".pagesPerSheet", s.PagesPerSheet, "pagesPerSheet")
	l.refuse(len(s.MediaSize) > 64 || strings.TrimSpace(s.MediaSize) != s.MediaSize, at+".mediaSize", "write it as A4",
		"mediaSize is too long or has spaces around it")
}

// perSheet checks a number of pages on a side, which may be absent.
func (l *loader) perSheet(path string, n int, name string) {
	l.refuse(n != 0 && !policy.PerSheet(n), path, "write 1, 2, 4, 6, 8, 9 or 16", "%s is out of range", name)
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
