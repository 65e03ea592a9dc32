package view

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/cache"
	"pullprint/trigger/graph"
)

// A title is shown as the configuration says, in one line, without what is not seen.
func TestTitled(t *testing.T) {
	for _, c := range [][3]string{
		{TitlesShown, "Invoice 4711.pdf", "Invoice 4711.pdf"},
		{TitlesMasked, "Invoice 4711.pdf", "Inv….pdf"},
		{TitlesMasked, "Überweisung", "Übe…"},
		{TitlesMasked, "a.pdf", "a.p…"},
		{TitlesMasked, "notes.of the meeting", "not…"},
		{TitlesMasked, "ab", "ab…"},
		{TitlesMasked, "", ""},
		{TitlesShown, "\u202efdp.exe\u2066\n\x00second line", "fdp.exe second line"},
		{TitlesMasked, "\u202e\u2066abc.pdf", "abc….pdf"},
		{TitlesShown, strings.Repeat("é", 200), strings.Repeat("é", maxTitle-1) + "…"},
	} {
		if got := titled(c[0], c[1]); got != c[2] {
			t.Errorf("%s %q: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

// printingGraph knows how far jobs are.
type printingGraph struct {
	Graph
	state graph.JobState
	asked atomic.Int64
}

func (g *printingGraph) Job(context.Context, graph.Ref) (graph.Job, error) {
	g.asked.Add(1)
	return graph.Job{State: g.state}, nil
}

// Pages that follow a job share what Graph says: it is asked again after a while, and no more once the job has
// ended.
func TestStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &printingGraph{state: graph.JobProcessing}
		s := &Site{o: Options{Graph: g}, states: cache.NewTTL[graph.JobState](stateFor, maxPeople)}
		shows := func(want graph.JobState, asked int64) {
			t.Helper()
			got := s.States(t.Context(), []graph.Ref{{Printer: "p", Job: "1"}, {}})
			if got[0] != want || got[1] != "" || g.asked.Load() != asked {
				t.Errorf("%q, asked %d times, want %q and %d", got, g.asked.Load(), want, asked)
			}
		}
		shows(graph.JobProcessing, 1)
		g.state = graph.JobCompleted
		shows(graph.JobProcessing, 1)
		<-time.After(stateFor)
		shows(graph.JobCompleted, 2)
		<-time.After(time.Minute)
		shows(graph.JobCompleted, 2)
	})
}
