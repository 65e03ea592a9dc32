package connector

import (
	"context"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/held"
)

// Whether a queue has our trigger can't be asked for with the token of the app.
// But a job that has been in a queue for a while, without a task of ours and
// unknown to us, has not started one. How often that is looked for, how long a
// job is given, how old it may be, and how many are looked at.
const (
	driftEvery = 10 * time.Minute
	driftAfter = 5 * time.Minute
	driftSpan  = time.Hour
	driftJobs  = 500
)

// drift remembers when queues were looked at, and which drift.
type drift struct {
	since, last time.Time
	queues      map[string]bool
}

// lookForDrift looks whether jobs of a queue go past us. What can't be read is
// left as it was.
func (s *Sweeper) lookForDrift(ctx context.Context, now time.Time) {
	d := &s.drifted
	if now.Sub(d.last) < driftEvery {
		return
	}
	d.last = now
	if d.queues == nil {
		d.queues = map[string]bool{}
	}
	for _, q := range s.worker.Queues {
		past, ours, err := s.pastUs(ctx, q, now)
		if err != nil {
			s.log.Debug("jobs of a queue not listed", zap.String("queue", q.Name), zap.Error(err))
			continue
		}
		is := past || (d.queues[q.Name] && !ours) // only a job of ours ends it
		if is && !d.queues[q.Name] {
			s.log.Error("jobs print without a task of ours: the trigger of the queue is missing, or another's; look at `pullprint register plan`", zap.String("queue", q.Name))
		}
		if !is && d.queues[q.Name] {
			s.log.Info("jobs start tasks of ours again", zap.String("queue", q.Name))
		}
		d.queues[q.Name] = is
		value := 0.0
		if is {
			value = 1
		}
		s.worker.Metrics.drift.WithLabelValues(q.Name).Set(value)
	}
}

// pastUs reports whether the newest jobs of a queue went past us, and whether one
// came to us.
func (s *Sweeper) pastUs(ctx context.Context, q Queue, now time.Time) (past, ours bool, err error) {
	definition := s.worker.Book.Definition()
	var newest time.Time
	n := 0
	for job, err := range s.worker.Graph.Jobs(ctx, q.PrinterID) {
		if err != nil {
			return false, false, err
		}
		if n++; n > driftJobs {
			break
		}
		age := now.Sub(job.Created)
		if age < driftAfter || age > driftSpan || job.Created.Before(s.drifted.since) || job.Created.Before(newest) || job.RedirectedFrom != "" {
			continue
		}
		_, known := s.worker.Index.Lookup(held.Ref(job.Ref))
		newest = job.Created
		ours = known || len(job.Tasks) > 0 && definition != ""
		past = !ours
	}
	return past, ours, nil
}
