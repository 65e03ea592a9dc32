package printer

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"pullprint/trigger/graph"
)

// What is done with a job at a device whose state Graph does not know, as
// Device.UnknownState.
const (
	UnknownRelease = "release"
	UnknownKeep    = "keep"
)

// silentFor is how long a printer of unknown state may have been silent. Printers and connectors
// poll Universal Print for jobs; one that sleeps or restarts is back within the hour.
const silentFor = time.Hour

// Graph tells why a printer is in its state in the words of printerProcessingStateDetail
// (https://learn.microsoft.com/graph/api/resources/printerstatus), which are those of
// IPP's printer-state-reasons (RFC 8011, 5.4.12). With a detail of blocking a printer
// prints nothing, whatever its state.
var blocking = map[string]string{
	"coverOpen":      "a cover is open",
	"deactivated":    "deactivated",
	"deleted":        "deleted",
	"disconnected":   "not connected to Universal Print",
	"doorOpen":       "a door is open",
	"interlockOpen":  "a cover is open",
	"mediaJam":       "paper jam",
	"movingToPaused": "paused",
	"paused":         "paused",
	"shutdown":       "switched off",
}

// With a detail of lacking at least one tray, bin or colour is meant, or something that
// passes: a printer that is idle or prints still can, one of unknown state can't.
var lacking = map[string]string{
	"connectingToDevice":             "its connector does not reach it",
	"developerEmpty":                 "out of developer",
	"fuserOverTemp":                  "the fuser is too hot",
	"inputTrayMissing":               "a paper tray is missing",
	"interpreterResourceUnavailable": "its memory is full",
	"markerSupplyEmpty":              "out of toner or ink",
	"markerWasteFull":                "the waste toner box is full",
	"mediaEmpty":                     "out of paper",
	"mediaNeeded":                    "it needs paper",
	"opticalPhotoConductorLifeOver":  "its drum has to be replaced",
	"outputAreaFull":                 "the output tray is full",
	"outputTrayMissing":              "the output tray is missing",
	"spoolAreaFull":                  "its memory is full",
	"stopping":                       "stopping",
	"timedOut":                       "it does not answer",
	"tonerEmpty":                     "out of toner",
}

// Causes are the words in which Unavailable and Unsuitable say what is wrong with a printer, but
// for what has words of Graph's in it.
func Causes() []string {
	return slices.Concat(slices.Collect(maps.Values(blocking)), slices.Collect(maps.Values(lacking)), []string{noColor})
}

// maxWhy is how many details are reported.
const maxWhy = 3

// Unavailable reports whether a job that is sent to the printer of a device now would
// not be printed, as far as Graph knows, and why in words; they may be empty. States
// and details that are not known here are no reason.
func (d *Device) Unavailable(p graph.Printer, now time.Time) (why string, unavailable bool) {
	blocked := tell(p.Details, blocking)
	lacks := tell(p.Details, blocking, lacking)
	switch p.State {
	case graph.PrinterStopped:
		return cmp.Or(lacks, tell(p.Details)), true
	case graph.PrinterIdle, graph.PrinterProcessing:
		return blocked, blocked != "" || !p.AcceptingJobs
	}
	switch silent := now.Sub(p.LastSeen); {
	case !p.AcceptingJobs || lacks != "":
		return lacks, true
	case !p.LastSeen.IsZero() && silent > silentFor:
		return "Universal Print last heard of it on " + p.LastSeen.UTC().Format("2 Jan 2006 15:04") + " UTC", true
	}
	return "its state is not known", d.UnknownState == UnknownKeep
}

// Words is why a printer or job is in its state, in Graph's words taken apart: at most three, of
// letters only.
func Words(details []string) string { return tell(details) }

// UnknownTrouble is the cause of a failure that a printer does not tell.
const UnknownTrouble = "unknown"

// Troubles are the causes that Trouble returns, sorted.
func Troubles() []string {
	words := slices.Concat(slices.Collect(maps.Keys(blocking)), slices.Collect(maps.Keys(lacking)), []string{UnknownTrouble})
	slices.Sort(words)
	return words
}

// Trouble is what keeps a printer from printing: a word of Graph's that is known here, or
// UnknownTrouble, and what all such words mean.
func Trouble(p graph.Printer) (cause, words string) {
	for _, d := range p.Details {
		if blocking[d] != "" || lacking[d] != "" {
			return d, tell(p.Details, blocking, lacking)
		}
	}
	return UnknownTrouble, ""
}

// tell says the details that one of the lists has, in its words; without a list all of
// them, in Graph's words taken apart.
func tell(details []string, lists ...map[string]string) string {
	var words []string
	for _, d := range details {
		text := ""
		for _, list := range lists {
			text = cmp.Or(text, list[d])
		}
		if len(lists) == 0 && d != "none" && d != "other" {
			text = apart(d)
		}
		if text != "" && !slices.Contains(words, text) {
			words = append(words, text)
		}
	}
	return strings.Join(words[:min(len(words), maxWhy)], ", ")
}

// apart is a word of Graph's as people write it: cartridgeMissing is "cartridge missing".
// What is no such word is nothing.
func apart(word string) string {
	if len(word) > 40 {
		return ""
	}
	var b strings.Builder
	for _, r := range word {
		switch {
		case r > unicode.MaxASCII || !unicode.IsLetter(r):
			return ""
		case unicode.IsUpper(r):
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.TrimSpace(b.String())
}
