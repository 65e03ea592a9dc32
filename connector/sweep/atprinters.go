package sweep

import (
	"context"
	"errors"
	"sync"
	"time"

	"pullprint/connector/index"
	"pullprint/connector/recovery"
	"pullprint/trigger/graph"
)

// The limits of lists of the jobs at a printer.
const (
	// listEvery is how often the jobs of one printer are listed at most: once in a sweep, and with
	// 10 s to spare for timers; a sweep that is kicked, or comes again after a failure, lists none
	// of those that were listed just now.
	listEvery = sweepEvery - 10*time.Second
	// listedJobs is how many jobs of a list are read: what Universal Print takes for a printer in
	// 50 minutes (100 in ten). A job that is not among them is read by itself.
	listedJobs = 500
)

// errListedLately says that the jobs of a printer were listed just now.
var errListedLately = errors.New("the jobs of the printer were listed just now")

// atPrinters is what Graph shows, in one sweep, of jobs at their printers. Where several of the
// jobs that are followed are under way at one printer, they are looked up in one list of its jobs;
// all others are read one by one. It keeps what was asked for, however long the list is.
type atPrinters struct {
	graph  Graph
	listed map[string]time.Time // when the jobs of a printer were listed last, beyond this sweep

	lists map[string]*list

	mu sync.Mutex // guards listed, and who begins to read a list
}

// list is the jobs at one printer.
type list struct {
	wanted map[graph.Ref]bool
	begun  bool
	done   chan struct{} // closed when it is read; jobs and err are there then
	jobs   map[graph.Ref]graph.Job
	err    error
}

// atPrinters prepares the lists of one sweep.
func (s *Sweeper) atPrinters(followed []index.Followed) *atPrinters {
	for printer, at := range s.listed {
		if time.Since(at) >= listEvery {
			delete(s.listed, printer)
		}
	}
	p := &atPrinters{graph: s.graph, listed: s.listed, lists: map[string]*list{}}
	for _, f := range followed {
		at := canonical(f.At)
		if p.lists[at.Printer] == nil {
			p.lists[at.Printer] = &list{wanted: map[graph.Ref]bool{}, done: make(chan struct{}), jobs: map[graph.Ref]graph.Job{}}
		}
		p.lists[at.Printer].wanted[at] = true
	}
	return p
}

func canonical(r graph.Ref) graph.Ref {
	return graph.Ref{Printer: graph.Canonical(r.Printer), Job: graph.Canonical(r.Job)}
}

// job is a job at a printer. What a list does not show, or a list that Graph refuses, proves
// nothing: the job is read then.
func (p *atPrinters) job(ctx context.Context, at graph.Ref) (graph.Job, error) {
	l := p.lists[graph.Canonical(at.Printer)]
	if l == nil || len(l.wanted) < 2 {
		return p.graph.Job(ctx, at)
	}
	if err := p.await(ctx, graph.Canonical(at.Printer), l); err != nil {
		return graph.Job{}, err
	}
	if j, ok := l.jobs[canonical(at)]; ok {
		return j, nil
	}
	var ge *graph.Error
	if l.err != nil && (!errors.As(l.err, &ge) || ge.Unavailable()) {
		return graph.Job{}, l.err
	}
	return p.graph.Job(ctx, at)
}

// await reads the list of a printer, or waits until another has read it.
func (p *atPrinters) await(ctx context.Context, printer string, l *list) error {
	p.mu.Lock()
	first, last := !l.begun, p.listed[printer]
	l.begun = true
	if first && last.IsZero() {
		p.listed[printer] = time.Now()
	}
	p.mu.Unlock()
	if first {
		defer close(l.done)
		if l.err = errListedLately; last.IsZero() {
			l.err = recovery.Catch(func() error { return p.read(ctx, printer, l) })
		}
		return nil
	}
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read reads the list of a printer until it has all that is wanted.
func (p *atPrinters) read(ctx context.Context, printer string, l *list) error {
	n := 0
	for j, err := range p.graph.Jobs(ctx, printer) {
		if err != nil {
			return err
		}
		if l.wanted[j.Ref] {
			l.jobs[j.Ref] = j
		}
		if n++; len(l.jobs) == len(l.wanted) || n >= listedJobs {
			break
		}
	}
	return nil
}
