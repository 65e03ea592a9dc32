package view

import (
	"context"
	"path"
	"strings"
	"sync"
	"time"
	"unicode"

	"pullprint/connector/recovery"
	"pullprint/trigger/graph"
)

// Plain is a text for a page in one line, without characters that are not seen, as those
// that turn the direction of writing.
func Plain(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsGraphic(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text)
	if r := []rune(text); len(r) > maxTitle {
		text = string(r[:maxTitle-1]) + "…"
	}
	return strings.TrimSpace(text)
}

// How titles of jobs are shown.
const (
	TitlesShown  = "shown"
	TitlesMasked = "masked"
	TitlesHidden = "hidden"
)

// maxExtension is the longest end of a name that counts as its extension, with the point.
const maxExtension = 6

// titled is a title as it is shown. Masked are its first three characters and its extension.
func titled(how, title string) string {
	title = Plain(title)
	r := []rune(title)
	if how == TitlesShown || len(r) == 0 {
		return title
	}
	ext := path.Ext(title)
	if n := len([]rune(ext)); n < 2 || n > maxExtension || n > len(r)-3 {
		ext = ""
	}
	return string(r[:min(3, len(r))]) + "…" + ext
}

// title is what a job is called, remembered in memory for as long as a name is.
func (s *Site) title(ctx context.Context, ref graph.Ref) (string, error) {
	key := ref.Printer + "/" + ref.Job
	if known, fresh := s.known.Get(key); fresh {
		return known, nil
	}
	title, err := s.o.Graph.Title(ctx, ref)
	if err == nil {
		s.known.Put(key, title)
	}
	return title, err
}

// Titles reads the titles of jobs; one that is late or can't be read is missing.
func (s *Site) Titles(ctx context.Context, how string, refs []graph.Ref) map[graph.Ref]string {
	out := map[graph.Ref]string{}
	if s.o.Graph == nil || how == TitlesHidden {
		return out
	}
	var mu sync.Mutex // guards out
	_ = recovery.Each(min(len(refs), MaxTitles), ReadsAtOnce, func(i int) {
		title, err := s.title(ctx, refs[i])
		if err == nil && title != "" {
			mu.Lock()
			defer mu.Unlock()
			out[refs[i]] = titled(how, title)
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
