package effect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pullprint/connector/job"
	"pullprint/connector/job/readback"
	"pullprint/trigger/graph"
)

// errUnclear says that Graph's answer does not show whether an effect has happened.
var errUnclear = errors.New("graph does not say clearly what became of the job")

// unclearFor is how long after the decision an unclear answer is retried. After that Graph
// is called again for the effect: Graph itself makes sure that it happens once.
const unclearFor = 10 * time.Minute

// refusedFor is how long a job is still looked for after Graph has refused an effect and does
// not know the job: a server of Graph may not know a new job yet, and the effect may have
// happened. A longer time would make a dead letter of a deleted job (see maxFailures in package arrival).
const refusedFor = 2 * time.Minute

// readBack reads the job and its task and returns what they show. An unknown state does not
// prove that the effect has not happened. called says whether Graph may have been called for
// the effect.
func (e *Executor) readBack(ctx context.Context, rec *job.Record, called bool) (result, error) {
	j, err := e.jobOf(ctx, rec)
	if graph.IsNotFound(err) {
		return e.readBackForgotten(ctx, rec, called)
	}
	if err != nil {
		return result{}, fmt.Errorf("read job back: %w", err)
	}
	if j, err = e.WithTask(ctx, rec, j); err != nil {
		return result{}, err
	}
	seen, err := e.observe(ctx, rec, j)
	if err == nil && seen.outcome == "" && !readback.TaskWaits(j.Tasks, rec.Task) {
		var task graph.Task
		if task, _, err = e.task(ctx, rec); err == nil {
			j.Tasks = []graph.Task{task}
			seen, err = e.observe(ctx, rec, j)
		}
	}
	if err != nil || seen.outcome != "" {
		return seen, err
	}
	if !readback.StillWaits(rec, j) && e.clock.Since(rec.Decision.At) < unclearFor {
		return result{}, errUnclear
	}
	return result{settings: j.Settings}, nil
}

// task reads the task of a record. known is false, and the task has no state, when Graph does not
// know it.
func (e *Executor) task(ctx context.Context, rec *job.Record) (task graph.Task, known bool, err error) {
	task, err = e.graph.Task(ctx, rec.Definition, rec.Task)
	switch {
	case graph.IsNotFound(err):
		return graph.Task{}, false, nil
	case err != nil:
		return graph.Task{}, false, fmt.Errorf("read task: %w", err)
	}
	return task, true, nil
}

// observe is what a job shows of an effect; its outcome is empty when that can still be called
// for. Where a redirected job went is looked for at its printer if Graph does not show it.
func (e *Executor) observe(ctx context.Context, rec *job.Record, j graph.Job) (seen result, err error) {
	seen.outcome, seen.late = readback.Outcome(rec, j), readback.RedirectedEarlier(rec, j)
	if seen.outcome == job.Released && rec.Release.Job == "" {
		_, err = e.atDestination(ctx, rec)
	}
	return seen, err
}

// WithTask is a job with its task. Graph may show a job that has ended without: then the task
// is read, as it says whether the job ended by us.
func (e *Executor) WithTask(ctx context.Context, rec *job.Record, j graph.Job) (graph.Job, error) {
	shown := slices.ContainsFunc(j.Tasks, func(t graph.Task) bool { return readback.SameTask(t.ID, rec.Task) })
	if shown || j.RedirectedTo != "" || readback.JobWaits(j.State) {
		return j, nil
	}
	task, known, err := e.task(ctx, rec)
	if known {
		j.Tasks = append(slices.Clone(j.Tasks), task)
	}
	return j, err
}

// readBackForgotten says what became of a job that Graph does not know any more, now or
// for good. The task tells whether the effect happened, as only we can finish it, even if
// Graph refused the call; if Graph does not know the task either, the printer that the job
// was sent to.
func (e *Executor) readBackForgotten(ctx context.Context, rec *job.Record, called bool) (result, error) {
	task, known, err := e.task(ctx, rec)
	if err != nil {
		return result{}, err
	}
	if rec.Release != nil && (!known || task.State == graph.TaskCompleted) {
		there, err := e.atDestination(ctx, rec)
		if err != nil || there {
			return redirected(rec), err
		}
	}
	return e.byTask(rec, task, called)
}

// redirected is the result when a job is at the device of a try.
func redirected(rec *job.Record) result {
	if rec.State == job.Releasing {
		return result{outcome: job.Released}
	}
	return result{outcome: job.Gone, late: rec.Release != nil}
}

// byTask says what became of a job that Graph does not know, by its task, which has no state if Graph
// does not know it either. If nothing tells for long, an effect that was called
// for counts as made: what may have printed as printed, and what may have been refused as refused.
// One that Graph refused was not made.
func (e *Executor) byTask(rec *job.Record, task graph.Task, called bool) (result, error) {
	done, gone := result{outcome: rec.State.Outcome()}, result{outcome: job.Gone}
	switch aborting := rec.State == job.Aborting; {
	case task.State == graph.TaskCompleted && aborting:
		return redirected(rec), nil
	case task.State == graph.TaskCompleted, task.State == graph.TaskAborted && aborting:
		return done, nil
	case task.State == graph.TaskAborted:
		return gone, nil
	}
	if e.clock.Since(rec.Decision.At) < lookFor(called) {
		return result{}, errUnclear
	}
	if !called || readback.TaskWaits([]graph.Task{task}, rec.Task) {
		return gone, nil
	}
	done.presumed = true
	return done, nil
}

// lookFor is how long a job that Graph does not know is looked for.
func lookFor(called bool) time.Duration {
	if called {
		return unclearFor
	}
	return refusedFor
}

// maxAtPrinter bounds how many jobs of a printer are looked through.
const maxAtPrinter = 10_000

// lookWithin bounds how long the printers of one job are looked through: a list of 10,000 jobs is
// 100 pages of half a second each. It is part of the sum in daemon.loops.
const lookWithin = 2 * time.Minute

// atDestination looks for a job at the printers that it was to be redirected to, and
// notes in the record which one it became.
func (e *Executor) atDestination(ctx context.Context, rec *job.Record) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	printers := []string{rec.Release.Printer}
	for _, t := range slices.Backward(rec.Tries) {
		if !slices.Contains(printers, t.Printer) {
			printers = append(printers, t.Printer)
		}
	}
	for _, printer := range printers {
		if there, err := e.atPrinter(ctx, rec, printer); there || err != nil {
			return there, err
		}
	}
	return false, nil
}

func (e *Executor) atPrinter(ctx context.Context, rec *job.Record, printer string) (bool, error) {
	n := 0
	for j, err := range e.graph.Jobs(ctx, printer) {
		var ge *graph.Error
		if errors.As(err, &ge) && !ge.Unavailable() {
			return false, nil // it may not be read, or is not there any more
		}
		if err != nil {
			return false, fmt.Errorf("look for the job at its printer: %w", err)
		}
		if from, err := graph.ParseJobURL(j.RedirectedFrom); err == nil && from == rec.Ref {
			rec.Release.Printer, rec.Release.Job = printer, j.Ref.Job
			return true, nil
		}
		if n++; n == maxAtPrinter {
			break
		}
	}
	return false, nil
}
