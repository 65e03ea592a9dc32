package connector_test

import (
	"testing"

	"pullprint/connector/bus/bustest"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// What a job costs that is to be printed on both sides is what its printer makes of it: where that
// prints on one side only nothing is given off for shared sheets, whoever chose both sides. The quote
// says so before, and both sides are no choice there.
func TestChargedAsPrinted(t *testing.T) {
	racetest.Skip(t, "one printer after the other")
	const half = `
prices: {page: 1, duplex_discount: 0.5}
allowances:
  - {name: all, when: 'true', pages: 20, every: week}
`
	const rewrites = half + `
rules:
  - {name: save, at: release, when: 'true', set: {duplexMode: flipOnLongEdge}}
`
	for name, c := range map[string]struct {
		printer, modes, src string
		duplex              bool
		cost                int // of 8 pages
	}{
		"both sides":                         {pullID, `["flipOnLongEdge","oneSided"]`, half, true, 4},
		"one side":                           {pullID, `["oneSided"]`, half, true, 8},
		"one side, by a rule":                {pullID, `["oneSided"]`, rewrites, false, 8},
		"both sides, by a rule":              {pullID, `["oneSided","flipOnLongEdge"]`, rewrites, false, 4},
		"the printer does not tell":          {pullID, `[]`, half, true, 4},
		"a word that is new":                 {pullID, `["oneSided","unknownFutureValue"]`, half, true, 4},
		"one side, and printed where sent":   {directID, `["oneSided"]`, half, true, 8},
		"both sides, and printed where sent": {directID, `["flipOnLongEdge"]`, half, true, 4},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, bustest.Open(t), graphtest.Calm())
			for _, id := range []string{westID, directID} {
				if err := w.sim.SetCapabilities(id, `{"duplexModes":`+c.modes+`}`); err != nil {
					t.Fatal(err)
				}
			}
			_, d := w.print(graphtest.JobSpec{Printer: c.printer, Pages: 8, Duplex: c.duplex})
			l := w.live("", withPolicy(t, c.src))
			l.worker.Handle(l.ctx, d)
			if c.printer == pullID {
				quotes, _, err := l.release.Quotes(l.ctx, studentID, "hq-2-west")
				if err != nil || len(quotes) != 1 || quotes[0].Cost != quota.Amount(c.cost)*quota.Unit ||
					c.duplex && quotes[0].Printed.OneSided != (c.cost == 8) || c.duplex && quotes[0].Printed.Sheets != int64(c.cost) {
					t.Errorf("%+v, %v", quotes, err)
				}
				sides := []policy.Settings{{DuplexMode: "flipOnLongEdge"}}
				_, choices, err := l.release.Choices(l.ctx, studentID, "hq-2-west", quotes[0].Ref, sides)
				if offered := len(choices) == 2; err != nil || offered != (c.cost == 4 && !c.duplex) {
					t.Errorf("choices %+v, %v", choices, err)
				}
				if out, err := l.release.Release(l.ctx, order()); err != nil || len(out.Released) != 1 {
					t.Fatalf("%+v, %v", out, err)
				}
			}
			w.has(t, c.src, 0, c.cost)
		})
	}
}
