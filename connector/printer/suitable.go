package printer

import (
	"slices"
	"strings"
	"unicode"

	"pullprint/policy"
	"pullprint/trigger/graph"
)

// noColor is said of a printer that does not print in colour.
const noColor = "it does not print in colour"

// Unsuitable says what of a job a printer can't do, in words; empty when it can, or when nobody
// knows. Only what the printer says of itself, in words that are known, counts: a list that it
// does not give, or whose words are not those of the job, proves nothing.
func Unsuitable(can graph.Capabilities, job graph.Configuration) string {
	if job.ColorMode == "color" && !prints(can) {
		return noColor
	}
	if size := job.MediaSize; lacks(can.MediaSizes, size) {
		return "it has no paper of the size " + size
	}
	for _, f := range job.Finishings {
		if f != "none" && lacks(can.Finishings, f) {
			return "it can't finish the job as wanted: " + apart(f)
		}
	}
	return ""
}

// Set is the configuration of a job with what is set of it by rules or its owner.
func Set(job graph.Configuration, set policy.Settings) graph.Configuration {
	if set.ColorMode != "" {
		job.ColorMode = set.ColorMode
	}
	if set.MediaSize != "" {
		job.MediaSize = set.MediaSize
	}
	return job
}

// OneSided reports whether a printer says that it prints on one side only.
func OneSided(can graph.Capabilities) bool {
	return len(can.DuplexModes) > 0 && !slices.ContainsFunc(can.DuplexModes, func(m string) bool { return m != "oneSided" })
}

// prints reports whether a printer may print in colour.
func prints(can graph.Capabilities) bool {
	if can.Color != nil && *can.Color {
		return true
	}
	known := can.Color != nil || len(can.ColorModes) > 0
	return !known || slices.ContainsFunc(can.ColorModes, func(m string) bool {
		return m != "blackAndWhite" && m != "grayscale" // color, auto, or a word that is new
	})
}

// lacks reports whether a list of what a printer has surely lacks a thing. Names of paper come in
// two styles, as A4 and as iso_a4_210x297mm: a list in another style than the thing tells nothing.
func lacks(list []string, thing string) bool {
	if len(list) == 0 || !plain(thing) {
		return false
	}
	return !slices.ContainsFunc(list, func(has string) bool { return strings.EqualFold(has, thing) || !plain(has) })
}

// plain reports whether a word is one of those that Graph documents, by its form: letters, digits,
// and what is in names of paper such as North America 10x11.
func plain(word string) bool {
	return word != "" && len(word) <= 40 && word != "unknownFutureValue" && !strings.ContainsFunc(word, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" .-", r)
	})
}
