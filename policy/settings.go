package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pullprint/policy/strictyaml"
)

// Settings are what a rule rewrites of a job, in the words of Graph's
// printJobConfiguration
// (https://learn.microsoft.com/graph/api/resources/printjobconfiguration). An
// empty field leaves the job's own.
type Settings struct {
	Copies        int    `yaml:"copies" json:"copies,omitempty"`
	ColorMode     string `yaml:"colorMode" json:"color_mode,omitempty"`
	DuplexMode    string `yaml:"duplexMode" json:"duplex_mode,omitempty"`
	MediaSize     string `yaml:"mediaSize" json:"media_size,omitempty"`
	PagesPerSheet int    `yaml:"pagesPerSheet" json:"pages_per_sheet,omitempty"`
	Quality       string `yaml:"quality" json:"quality,omitempty"`
}

// What a rule may set.
var (
	colorModes  = []string{"blackAndWhite", "grayscale", "color", "auto"}
	duplexModes = []string{"flipOnLongEdge", "flipOnShortEdge", "oneSided"}
	qualities   = []string{"low", "medium", "high"}
	perSheet    = []int{1, 2, 4, 6, 8, 9, 16}
)

const maxCopies = 9999

// Color reports whether a colour mode may print in colour: auto may, and so does
// the printer where the mode is left to it or is none that we know.
func Color(mode string) bool { return mode != "blackAndWhite" && mode != "grayscale" }

// Duplex reports whether a duplex mode prints on both sides.
func Duplex(mode string) bool { return mode == "flipOnLongEdge" || mode == "flipOnShortEdge" }

// Over is s, with base where s leaves the job's own.
func (s Settings) Over(base Settings) Settings {
	if s.Copies == 0 {
		s.Copies = base.Copies
	}
	if s.ColorMode == "" {
		s.ColorMode = base.ColorMode
	}
	if s.DuplexMode == "" {
		s.DuplexMode = base.DuplexMode
	}
	if s.MediaSize == "" {
		s.MediaSize = base.MediaSize
	}
	if s.PagesPerSheet == 0 {
		s.PagesPerSheet = base.PagesPerSheet
	}
	if s.Quality == "" {
		s.Quality = base.Quality
	}
	return s
}

// Apply makes of a job what rules see of it after the rewriting.
func (s Settings) Apply(j *Job) {
	if s.Copies != 0 {
		j.Copies = s.Copies
	}
	if s.ColorMode != "" {
		j.Color = Color(s.ColorMode)
	}
	if s.DuplexMode != "" {
		j.Duplex = Duplex(s.DuplexMode)
	}
	if s.PagesPerSheet != 0 {
		j.PagesPerSheet = s.PagesPerSheet
	}
	if s.MediaSize != "" {
		j.MediaSize = s.MediaSize
	}
}

// settings checks what a rule rewrites.
func (l *loader) settings(at string, r ruleFile) {
	s := *r.Set
	if s == (Settings{}) {
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
	if s.PagesPerSheet != 0 && !slices.Contains(perSheet, s.PagesPerSheet) {
		l.doc.Add(at+".pagesPerSheet", "write 1, 2, 4, 6, 8, 9 or 16", "pagesPerSheet is out of range")
	}
	if len(s.MediaSize) > 64 || strings.TrimSpace(s.MediaSize) != s.MediaSize {
		l.doc.Add(at+".mediaSize", "write it as A4", "mediaSize is too long or has spaces around it")
	}
}

// String is the settings as a rule writes them.
func (s Settings) String() string {
	var parts []string
	add := func(key, value string) {
		if value != "" && value != "0" {
			parts = append(parts, key+": "+value)
		}
	}
	add("copies", strconv.Itoa(s.Copies))
	add("colorMode", s.ColorMode)
	add("duplexMode", s.DuplexMode)
	add("mediaSize", s.MediaSize)
	add("pagesPerSheet", strconv.Itoa(s.PagesPerSheet))
	add("quality", s.Quality)
	return "{" + strings.Join(parts, ", ") + "}"
}
