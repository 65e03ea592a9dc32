package view

import (
	"context"
	"sync"
	"time"

	"pullprint/connector/display"
	"pullprint/connector/recovery"
	"pullprint/trigger/graph"
)

// Owned is a job whose title is to be shown, and its owner.
type Owned struct {
	graph.Ref
	Owner string
}

// title is what a job is called, remembered in memory for as long as a name is.
func (s *Site) title(ctx context.Context, job Owned) (string, error) {
	key := job.Printer + "/" + job.Job + "/" + job.Owner
	if known, fresh := s.known.Get(key); fresh {
		return known, nil
	}
	title, err := s.o.Graph.Title(ctx, job.Ref, job.Owner)
	if err == nil {
		s.known.Put(key, title)
	}
	return title, err
}

// Titles reads the titles of jobs, as how of package display lets them be seen; one that is late or can't be
// read is missing, as is that of a job whose number another person's has by now.
func (s *Site) Titles(ctx context.Context, how string, jobs []Owned) map[graph.Ref]string {
	out := map[graph.Ref]string{}
	if s.o.Graph == nil || how == display.Hidden {
		return out
	}
	var mu sync.Mutex // guards out
	_ = recovery.Each(min(len(jobs), MaxTitles), ReadsAtOnce, func(i int) {
		title, err := s.title(ctx, jobs[i])
		if err == nil && title != "" {
			mu.Lock()
			defer mu.Unlock()
			out[jobs[i].Ref] = display.Title(how, title)
		}
	})
	return out
}

// stateFor is how long the state of a job is remembered that may change: a page that follows it asks again later
// than that, and other pages that show it at once share the read.
const stateFor = time.Second

// States are how far jobs are at their printers, one for each; that of a job without an id, or which can't be
// read, is empty.
func (s *Site) States(ctx context.Context, jobs []graph.Ref) []graph.JobState {
	out := make([]graph.JobState, len(jobs))
	_ = recovery.Each(len(jobs), ReadsAtOnce, func(i int) {
		if jobs[i].Job != "" && s.o.Graph != nil {
			out[i] = s.state(ctx, jobs[i])
		}
	})
	return out
}

// state is how far a job is. One that has ended is remembered for as long as a name is.
func (s *Site) state(ctx context.Context, ref graph.Ref) graph.JobState {
	key := ref.Printer + "/" + ref.Job
	if known, fresh := s.states.Get(key); fresh {
		return known
	}
	j, err := s.o.Graph.Job(ctx, ref)
	if err != nil {
		return ""
	}
	long := stateFor
	switch j.State {
	case graph.JobCompleted, graph.JobAborted, graph.JobCanceled:
		long = personTTL
	default:
	}
	s.states.PutFor(key, j.State, long)
	return j.State
}
