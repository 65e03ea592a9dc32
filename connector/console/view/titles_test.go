package view

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pullprint/connector/cache"
	"pullprint/trigger/graph"
)

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
