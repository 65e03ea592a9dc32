package connector_test

import (
	"strings"
	"testing"
	"time"

	"pullprint/connector"
	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// A job goes to a device unless Graph tells that nothing would come out there. Words
// that are new are no reason.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state, details string        // details are separated by spaces
		silent         time.Duration // below zero: never heard of
		unknown        string        // devices[].unknown_state
		held           bool
		why            string
	}{
		{state: "idle", details: "none"},
		{state: "idle", details: "tonerLow mediaLow"},
		{state: "idle", details: "mediaEmpty"}, // one tray of several
		{state: "idle", silent: 48 * time.Hour},
		{state: "idle", details: "mediaJam", held: true, why: "paper jam"},
		{state: "idle", details: "disconnected", held: true, why: "not connected to Universal Print"},
		{state: "idle", details: "paused movingToPaused", held: true, why: "paused"},
		{state: "processing", details: "coverOpen mediaEmpty", held: true, why: "a cover is open"},
		{state: "processing", details: "tonerEmpty"},
		{state: "stopped", held: true},
		{state: "stopped", details: "mediaEmpty coverOpen", held: true, why: "out of paper, a cover is open"},
		{state: "stopped", details: "cartridgeMissing", held: true, why: "cartridge missing"},
		{state: "stopped", details: "other <b>bold</b>", held: true},
		{state: "unknown"},
		{state: "unknown", unknown: "release"},
		{state: "unknown", unknown: "keep", held: true, why: "its state is not known"},
		{state: "unknown", unknown: "release", details: "mediaEmpty", held: true, why: "out of paper"},
		{state: "unknown", details: "tonerLow mediaJam", held: true, why: "paper jam"},
		{state: "unknown", details: "tonerLow"},
		{state: "unknown", silent: -1},
		{state: "unknown", silent: 59 * time.Minute},
		{state: "unknown", silent: 3 * time.Hour, held: true, why: "Universal Print last heard of it on "},
		{state: "", details: "\u202e"},
		{state: "unknownFutureValue", details: "unknownFutureValue"},
		{state: "quarantined"},
		{state: "quarantined", unknown: "keep", held: true, why: "its state is not known"},
	} {
		d := printer.Device{UnknownState: c.unknown}
		p := graph.Printer{State: graph.PrinterState(c.state), Details: strings.Fields(c.details), AcceptingJobs: true}
		if c.silent >= 0 {
			p.LastSeen = time.Now().Add(-c.silent)
		}
		why, unavailable := d.Unavailable(p, time.Now())
		if unavailable != c.held || unavailable && !strings.HasPrefix(why, c.why) || c.why == "" && unavailable && why != "" {
			t.Errorf("%+v: %q, %t", c, why, unavailable)
		}
		p.AcceptingJobs = false
		if _, unavailable := d.Unavailable(p, time.Now()); !unavailable {
			t.Errorf("%+v: it takes jobs that it refuses", c)
		}
	}
}

// A job stays held at a device at which it would not be printed, and its owner reads
// why in words.
func TestPrinterStateKeeps(t *testing.T) {
	racetest.Skip(t, "one state after the other")
	for name, c := range map[string]struct {
		state, unknown string
		silent         time.Duration
		details        []string
		text           string // empty: it is released
	}{
		"well":   {state: "idle", details: []string{"tonerLow"}},
		"jammed": {state: "idle", details: []string{"mediaJam"}, text: "This printer can't print at the moment: paper jam."},
		"stopped": {
			state: "stopped", details: []string{"mediaEmpty"}, text: "This printer can't print at the moment: out of paper.",
		},
		"unknown": {state: "unknown"},
		"unknown, kept": {
			state: "unknown", unknown: printer.UnknownKeep, text: "This printer can't print at the moment: its state is not known.",
		},
		"unknown and without ink": {
			state: "unknown", details: []string{"tonerEmpty"}, text: "This printer can't print at the moment: out of toner.",
		},
		"unknown and gone": {
			state: "unknown", silent: 3 * time.Hour, text: "This printer can't print at the moment: Universal Print last heard of it on ",
		},
		"a new word": {state: "quarantined", details: []string{"unknownFutureValue"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, bustest.Open(t), graphtest.Calm())
			w.setPrinter(westID, c.state, true)
			if err := w.sim.SetDetails(westID, time.Now().Add(-c.silent), c.details...); err != nil {
				t.Fatal(err)
			}
			there := []printer.Device{devices[0], devices[1]}
			there[0].UnknownState = c.unknown
			id, l := w.hold(), w.live("", func(d *connector.Deps) { d.Devices = there })
			out, err := l.release.Release(l.ctx, order())
			if err != nil {
				t.Fatal(err)
			}
			switch rec := w.record(id); {
			case c.text == "":
				if rec.State != job.Released {
					t.Errorf("the job is %s: %+v", rec.State, out)
				}
			case rec.State != job.Held || len(out.Kept) != 1:
				t.Errorf("the job is %s: %+v", rec.State, out)
			default:
				if r := out.Kept[0].Reason; r.Code != reasons.DeviceUnavailable || !strings.HasPrefix(r.Text, c.text) ||
					!strings.Contains(r.Remedy, "hq-2-east") {
					t.Errorf("%+v, want %q", r, c.text)
				}
			}
		})
	}
}
