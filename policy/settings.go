package policy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
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

// PerSheet reports whether printers can put so many pages on a side.
func PerSheet(pages int) bool { return slices.Contains([]int{1, 2, 4, 6, 8, 9, 16}, pages) }

// Color reports whether a colour mode may print in colour: auto may, and so does
// the printer where the mode is left to it or is none that we know.
func Color(mode string) bool { return mode != "blackAndWhite" && mode != "grayscale" }

// Duplex reports whether a duplex mode prints on both sides.
func Duplex(mode string) bool { return mode == "flipOnLongEdge" || mode == "flipOnShortEdge" }

// Over is s, with base where s leaves the job's own.
func (s Settings) Over(base Settings) Settings {
	return Settings{
		Copies: cmp.Or(s.Copies, base.Copies), ColorMode: cmp.Or(s.ColorMode, base.ColorMode),
		DuplexMode: cmp.Or(s.DuplexMode, base.DuplexMode), MediaSize: cmp.Or(s.MediaSize, base.MediaSize),
		PagesPerSheet: cmp.Or(s.PagesPerSheet, base.PagesPerSheet), Quality: cmp.Or(s.Quality, base.Quality),
	}
}

// Apply makes of a job what rules see of it after the rewriting.
func (s Settings) Apply(j *Job) {
	j.Copies = cmp.Or(s.Copies, j.Copies)
	j.PagesPerSheet = cmp.Or(s.PagesPerSheet, j.PagesPerSheet)
	j.MediaSize = cmp.Or(s.MediaSize, j.MediaSize)
	if s.ColorMode != "" {
		j.Color = Color(s.ColorMode)
	}
	if s.DuplexMode != "" {
		j.Duplex = Duplex(s.DuplexMode)
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
