package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"pullprint/connector/catalog"
	"pullprint/connector/console/view"
	"pullprint/connector/display"
)

// maxHelp is the longest text of help and of a place, in characters: two lines of a station.
const maxHelp = 120

// station checks what the stations show.
func (k *checker) station() {
	s := k.c.Station
	k.oneOf("station.titles", s.Titles, display.Full, display.Masked, display.Hidden)
	if s.Language != "" {
		k.oneOf("station.language", s.Language, catalog.Languages()...)
	}
	if _, err := time.LoadLocation(s.Zone); err != nil {
		k.add("station.zone", "write it as Europe/Zurich", "station.zone is no time zone that is known here")
	}
	for i, choice := range s.Choices {
		at := fmt.Sprintf("station.choices[%d]", i)
		k.oneOf(at, choice, view.AllChoices()...)
		if slices.Index(s.Choices, choice) != i {
			k.add(at, "take it out", "%s is there a second time", at)
		}
	}
	k.line("station.help", s.Help)
	for i, d := range k.c.Devices {
		k.line(fmt.Sprintf("devices[%d].location", i), d.Location)
	}
}

// line checks a text that people read in one line.
func (k *checker) line(path, text string) {
	if strings.ContainsFunc(text, unicode.IsControl) || len([]rune(text)) > maxHelp {
		k.add(path, fmt.Sprintf("write one line of at most %d characters", maxHelp), "%s is too long, or has several lines", path)
	}
}
