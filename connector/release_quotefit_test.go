package connector_test

import (
	"fmt"
	"slices"
	"testing"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/release"
	"pullprint/trigger/graph"
	"pullprint/trigger/graph/graphtest"
	"pullprint/trigger/racetest"
)

// What is told of all jobs together is what prints when all are asked for: the oldest
// first, while the budget lasts.
func TestQuotesFit(t *testing.T) {
	racetest.Skip(t, "one job after the other")
	for name, c := range map[string]struct {
		policy string
		pages  []int
		want   int
	}{
		"one over the budget": {weekly, []int{21}, 0},
		"two that are":        {weekly, []int{21, 30}, 0},
		"a small one behind":  {weekly, []int{25, 3}, 1},
		"each, but not both":  {weekly, []int{15, 15}, 1},
		"some":                {weekly, []int{15, 15, 5, 5}, 2},
		"all":                 {weekly, []int{10, 10}, 2},
		"set aside as they came": {
			"reserve: arrival\n" + weekly, []int{10, 10}, 2,
		},
		"two allowances": {`
prices: {page: 1}
merge: strictest
allowances:
  - {name: weekly, when: 'true', pages: 20, every: week}
  - {name: daily, when: 'true', pages: 12, every: day}
`, []int{6, 6, 6}, 2},
		"a rule": {weekly + `
rules:
  - {name: small, at: release, when: 'job.pages > 5', verdict: keep, reason: too.long, text: Too long., remedy: Shorten it.}
`, []int{6, 5}, 1},
		"no budget": {"rules: []\n", []int{6, 5}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, bustest.Open(t), graphtest.Calm())
			l := w.live("", withPolicy(t, c.policy))
			for _, n := range c.pages {
				_, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: n})
				l.worker.Handle(l.ctx, d)
			}
			quotes, _, err := l.release.Quotes(l.ctx, studentID, "hq-2-west")
			if err != nil || len(quotes) != len(c.pages) {
				t.Fatalf("%d of %d, %v", len(quotes), len(c.pages), err)
			}
			var told, printed []graph.Ref
			for _, q := range quotes {
				if !q.Stays {
					told = append(told, q.Ref)
				}
			}
			out, err := l.release.Release(l.ctx, order())
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range out.Released {
				printed = append(printed, r.Ref)
			}
			if len(told) != c.want || !slices.Equal(told, printed) {
				t.Errorf("told %v, printed %v, want %d; kept %s", told, printed, c.want, reasonsOf(out.Kept))
			}
		})
	}
}

func reasonsOf(list []release.Refused) string {
	var codes []string
	for _, r := range list {
		codes = append(codes, r.Reason.Code)
	}
	return fmt.Sprint(codes)
}
