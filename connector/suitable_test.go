package connector_test

import (
	"strings"
	"testing"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// A printer is unsuitable for a job only where it says so itself, in words of the job's kind.
func TestUnsuitable(t *testing.T) {
	t.Parallel()
	no, yes := false, true
	for _, c := range []struct {
		can graph.Capabilities
		job graph.Configuration
		why string
	}{
		{can: graph.Capabilities{Color: &no}, job: graph.Configuration{ColorMode: "color"}, why: "it does not print in colour"},
		{
			can: graph.Capabilities{ColorModes: []string{"blackAndWhite"}}, job: graph.Configuration{ColorMode: "color"},
			why: "it does not print in colour",
		},
		{can: graph.Capabilities{Color: &no, ColorModes: []string{"color"}}, job: graph.Configuration{ColorMode: "color"}},
		{can: graph.Capabilities{Color: &yes, ColorModes: []string{"grayscale"}}, job: graph.Configuration{ColorMode: "color"}},
		{can: graph.Capabilities{ColorModes: []string{"unknownFutureValue"}}, job: graph.Configuration{ColorMode: "color"}},
		{can: graph.Capabilities{Color: &no}, job: graph.Configuration{ColorMode: "auto"}},
		{can: graph.Capabilities{Color: &no}},
		{job: graph.Configuration{ColorMode: "color", MediaSize: "A3", Finishings: []string{"staple"}}},
		{
			can: graph.Capabilities{MediaSizes: []string{"A4", "A5"}}, job: graph.Configuration{MediaSize: "A3"},
			why: "it has no paper of the size A3",
		},
		{can: graph.Capabilities{MediaSizes: []string{"A4"}}, job: graph.Configuration{MediaSize: "a4"}},
		{can: graph.Capabilities{MediaSizes: []string{"A4"}}, job: graph.Configuration{MediaSize: "iso_a4_210x297mm"}},
		{can: graph.Capabilities{MediaSizes: []string{"iso_a3_297x420mm"}}, job: graph.Configuration{MediaSize: "A3"}},
		{can: graph.Capabilities{MediaSizes: []string{"A4"}}, job: graph.Configuration{MediaSize: "A3\u202e"}},
		{can: graph.Capabilities{MediaSizes: []string{"A4"}}, job: graph.Configuration{MediaSize: strings.Repeat("A", 1000)}},
		{
			can: graph.Capabilities{Finishings: []string{
				"none",
				"punch",
			}}, job: graph.Configuration{Finishings: []string{"none", "stapleTopLeft"}},
			why: "it can't finish the job as wanted: staple top left",
		},
		{can: graph.Capabilities{Finishings: []string{"none"}}, job: graph.Configuration{Finishings: []string{"unknownFutureValue"}}},
	} {
		if why := printer.Unsuitable(c.can, c.job); why != c.why {
			t.Errorf("%+v of %+v: %q, want %q", c.job, c.can, why, c.why)
		}
	}
}

// A job that the device can't print stays held, its owner reads why and where it prints; a rule
// that rewrites it has it printed; what a printer does not tell, or tells oddly, keeps nothing.
func TestDeviceUnsuitable(t *testing.T) {
	racetest.Skip(t, "one device after the other")
	const gray = testPolicy + `
  - {name: mono, at: release, when: 'device.id == "hq-2-west"', set: {colorMode: grayscale}}
`
	for name, c := range map[string]struct {
		west, east string // capabilities
		src        string
		remedy     string // empty: it is released
	}{
		"mono, the other in colour": {
			west:   `{"isColorPrintingSupported":false,"colorModes":["blackAndWhite"]}`,
			remedy: "Go to hq-2-east: ",
		},
		"mono, and the other is too": {
			west: `{"isColorPrintingSupported":false,"colorModes":["blackAndWhite"]}`,
			east: `{"isColorPrintingSupported":false,"colorModes":["blackAndWhite"]}`, remedy: "Go to another printer, or print it again",
		},
		"mono, and a rule rewrites the job": {west: `{"isColorPrintingSupported":false,"colorModes":["blackAndWhite"]}`, src: gray},
		"without capabilities":              {west: `{"isColorPrintingSupported":null,"colorModes":null}`},
		"capabilities of another type":      {west: `{"isColorPrintingSupported":"no","colorModes":{}}`},
		"without paper":                     {west: `{"mediaSizes":["A5"]}`, remedy: "Go to hq-2-east: "},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, bustest.Open(t), graphtest.Calm())
			for id, can := range map[string]string{westID: c.west, eastID: c.east} {
				if can == "" {
					continue
				}
				if err := w.sim.SetCapabilities(id, can); err != nil {
					t.Fatal(err)
				}
			}
			src := testPolicy
			if c.src != "" {
				src = c.src
			}
			id, d := w.print(graphtest.JobSpec{Printer: pullID, Color: true})
			l := w.live("", withPolicy(t, src))
			l.worker.Handle(l.ctx, d)
			quotes, _, err := l.release.Quotes(l.ctx, studentID, order().Device)
			if err != nil || len(quotes) != 1 {
				t.Fatal(err, len(quotes))
			}
			if q := quotes[0]; q.Stays != (c.remedy != "") || !strings.HasPrefix(q.Reason.Remedy, c.remedy) {
				t.Errorf("before: stays %t, %+v", q.Stays, q.Reason)
			}
			out, err := l.release.Release(l.ctx, order())
			if err != nil {
				t.Fatal(err)
			}
			rec := w.record(id)
			if c.remedy == "" {
				if rec.State != job.Released {
					t.Errorf("%s, %+v", rec.State, out)
				}
				return
			}
			if rec.State != job.Held || len(out.Kept) != 1 || out.Kept[0].Reason.Code != reasons.DeviceUnsuitable ||
				!strings.HasPrefix(out.Kept[0].Reason.Remedy, c.remedy) {
				t.Errorf("%s, %+v", rec.State, out)
			}
		})
	}
}
