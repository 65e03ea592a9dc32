package sweep

import (
	"context"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/printer"
	"pullprint/trigger/graph"
	"pullprint/trigger/register"
)

// Whether a queue has our trigger can't be asked for with the token of the app: the
// sign-in of an administrator that is kept can. Without one, a job that has been in
// a queue for a while, unknown to us and without a task of ours, has started none or
// that of another app.
const (
	// driftEvery is how often either is looked for: triggers change rarely, and each look reads
	// the jobs of every queue.
	driftEvery = 10 * time.Minute
	// driftAfter is the age from which a job without a task of ours counts: a lost notification
	// is made good within two minutes, and five leave room for a sweep that failed.
	driftAfter = 5 * time.Minute
	// driftSpan is the age up to which it counts: six looks, so that jobs from before a trigger
	// was repaired stop counting soon.
	driftSpan = time.Hour
	// driftJobs is how many jobs of a queue are looked at: what Universal Print takes for a printer
	// in 50 minutes (100 in ten).
	driftJobs = 500
)

// drift has when queues were checked, and which of them drift.
type drift struct {
	since, last time.Time
	queues      map[string]bool
}

// lookForDrift checks whether jobs of a queue bypass us. The state of a queue that can't be
// read is unchanged.
func (s *Sweeper) lookForDrift(ctx context.Context, now time.Time) {
	d := &s.drifted
	if now.Sub(d.last) < driftEvery {
		return
	}
	d.last = now
	for _, q := range s.list {
		is, why, err := s.drifting(ctx, q, now)
		if err != nil {
			s.log.Debug("drift not looked for", zap.String("queue", q.Name), zap.Error(err))
			continue
		}
		if is && !d.queues[q.Name] {
			s.log.Error("queue drifted", zap.String("queue", q.Name), zap.String("found", why),
				zap.String("remedy", "look at `pullprint register plan`"))
		}
		if !is && d.queues[q.Name] {
			s.log.Info("queue is ours again", zap.String("queue", q.Name))
		}
		d.queues[q.Name] = is
		s.metrics.drift.WithLabelValues(q.Name).Set(map[bool]float64{true: 1}[is])
	}
}

// drifting reports whether a queue has lost our trigger, and what was found.
func (s *Sweeper) drifting(ctx context.Context, q printer.Queue, now time.Time) (is bool, why string, err error) {
	if look, definition := s.trigger, s.verifier.Definition(); look != nil && definition != "" {
		state, holder, err := look(ctx, q.PrinterID, definition)
		if err == nil && state == register.TriggerForeign {
			state += ": " + holder
		}
		if err == nil {
			return state != register.TriggerOurs, "its trigger is " + state, nil
		}
	}
	past, ours, err := s.pastUs(ctx, q, now)
	// A queue that drifts is taken to drift until a job comes to us.
	return past || (s.drifted.queues[q.Name] && !ours), "jobs print without a task of ours", err
}

// pastUs reports whether the newest job of a queue bypassed us, or came to us.
func (s *Sweeper) pastUs(ctx context.Context, q printer.Queue, now time.Time) (past, ours bool, err error) {
	var newest graph.Job
	n := 0
	for job, err := range s.graph.Jobs(ctx, q.PrinterID) {
		if err != nil {
			return false, false, err
		}
		if n++; n > driftJobs {
			break
		}
		age := now.Sub(job.Created)
		if age < driftAfter || age > driftSpan || job.Created.Before(s.drifted.since) ||
			job.Created.Before(newest.Created) || job.RedirectedFrom != "" {
			continue
		}
		newest = job
	}
	if newest.Ref == (graph.Ref{}) {
		return false, false, nil
	}
	ours, err = s.startedOurs(ctx, newest)
	return !ours && err == nil, ours, err
}

// startedOurs reports whether a job started a task of our definition. A job does not have the
// definitions of its tasks, so each task is looked up at our definition.
func (s *Sweeper) startedOurs(ctx context.Context, j graph.Job) (bool, error) {
	if _, known := s.index.Lookup(j.Ref); known {
		return true, nil
	}
	definition := s.verifier.Definition()
	for _, t := range j.Tasks {
		_, err := s.graph.Task(ctx, definition, t.ID)
		if err == nil {
			return true, nil
		}
		if !graph.IsNotFound(err) {
			return false, err
		}
	}
	return false, nil
}
