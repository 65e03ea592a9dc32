package sweep

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/job"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// A task that no record knows although it was fed again at each of feedsOften sweeps
// is fed at every feedSeldom-th from then on: its job may be one that Graph has
// forgotten without finishing its task.
const (
	feedsOften = 60
	feedSeldom = 10
)

// Feed stores a task for the workers; *bus.Bus is one.
type Feed interface {
	PublishTask(ctx context.Context, definition, msgID string, body []byte) (duplicate bool, err error)
	Lag(ctx context.Context) (pending, ackPending int, err error)
	// Undelivered is when the oldest task was stored that was not delivered yet; zero when
	// there is none.
	Undelivered(ctx context.Context) (time.Time, error)
}

// backlog says how far the workers are behind.
type backlog struct {
	idle bool      // they have taken and answered everything
	from time.Time // when the oldest task was stored that nobody was given; zero: none
}

// behind reads how far the workers are behind.
func (s *Sweeper) behind(ctx context.Context) (backlog, error) {
	pending, unacked, err := s.feed.Lag(ctx)
	if err != nil {
		return backlog{}, fmt.Errorf("ask for the stream's lag: %w", err)
	}
	b := backlog{idle: pending == 0 && unacked == 0}
	if pending > 0 {
		if b.from, err = s.feed.Undelivered(ctx); err != nil {
			return b, fmt.Errorf("ask for the stream's lag: %w", err)
		}
	}
	return b, nil
}

// unknowns remembers the tasks that Graph lists as waiting and no record knows.
type unknowns struct {
	mu          sync.Mutex // guards what follows
	sweepNumber int
	tasks       map[string]unknown
}

type unknown struct {
	stored      time.Time // when it was in the stream for certain
	fed         int       // how often it was fed again
	sweepNumber int       // the sweep that saw it last
}

// next begins a sweep: tasks that the previous sweep did not see are forgotten.
func (u *unknowns) next() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, t := range u.tasks {
		if t.sweepNumber != u.sweepNumber {
			delete(u.tasks, id)
		}
	}
	u.sweepNumber++
}

// stored notes that a task is in the stream now.
func (u *unknowns) stored(task string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tasks[task] = unknown{stored: now, sweepNumber: u.sweepNumber}
}

// due reports whether a task that is in the stream has to be fed again: its message was
// surely delivered to a worker, and the job has no record.
func (u *unknowns) due(task string, b backlog, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	t, seen := u.tasks[task]
	if !seen {
		t.stored = now
	}
	t.sweepNumber = u.sweepNumber
	// If this is the first sweep that sees it, its message may still be undelivered.
	due := b.idle || (seen && (b.from.IsZero() || b.from.After(t.stored)))
	if due {
		t.fed++
		due = t.fed <= feedsOften || t.fed%feedSeldom == 0
	}
	if due {
		t.stored = now
	}
	u.tasks[task] = t
	return due
}

// feedTask publishes a task under its own id, which the stream drops as a duplicate if it
// was published in the last six hours. A duplicate without a record is published again at
// each sweep, unless it is in hand: it was given up, or Graph did not know its job.
func (s *Sweeper) feedTask(ctx context.Context, definition string, t graph.Task, b backlog) error {
	body, err := s.verifier.SweepNotification(t.ID, t.Job.Printer, t.Job.Job)
	if err != nil {
		return fmt.Errorf("write notification: %w", err)
	}
	now := time.Now()
	dup, err := s.feed.PublishTask(ctx, definition, t.ID, body)
	if err != nil {
		return fmt.Errorf("feed task: %w", err)
	}
	if !dup {
		s.unknown.stored(t.ID, now)
		s.metrics.recovered.Inc()
		s.log.Info("task recovered", zap.String("task", t.ID), zap.String("job", t.Job.Job))
		return nil
	}
	e, known := s.index.Lookup(t.Job)
	waits := known && e.State == job.Held && reasons.Waits(e.Reason)
	if !waits && (s.arrivals.InHand(t.ID, now) || !s.unknown.due(t.ID, b, now) || s.inflight.GivenUp(ctx, t.Job)) {
		return nil
	}
	minute := strconv.FormatInt(now.Unix()/60, 36)
	if dup, err = s.feed.PublishTask(ctx, definition, t.ID+":m"+minute, body); err != nil {
		return fmt.Errorf("feed task: %w", err)
	}
	if !dup {
		s.log.Debug("task fed again", zap.String("task", t.ID), zap.String("job", t.Job.Job))
	}
	return nil
}
