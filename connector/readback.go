package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"pullprint/connector/held"
	"pullprint/trigger/graph"
)

// errUnclear says that Graph's answer does not show whether an effect has happened.
var errUnclear = errors.New("graph does not say clearly what became of the job")

// unclearFor is how long after the decision an unclear answer is retried. After that Graph
// is called again for the effect: Graph itself makes sure that it happens once.
const unclearFor = 10 * time.Minute

// refusedFor is how long a job is still looked for after Graph has refused an effect and does
// not know the job: a server of Graph may not know a new job yet, and the effect may have
// happened. A longer time would make a dead letter of a deleted job (see maxAttempts).
const refusedFor = 2 * time.Minute

// observation is what Graph's answers show of a job.
type observation struct {
	// outcome is the state it shows; empty means that the effect has not happened
	// and can still be called for.
	outcome  held.State
	settings json.RawMessage
	// presumed is true when nothing is left at Graph that shows whether the effect has
	// happened.
	presumed bool
	late     bool // see effectResult
}

// readBack reads the job and its task and returns what they show. An unknown state does not
// prove that the effect has not happened. called says whether Graph may have been called for
// the effect.
func (e *Effects) readBack(ctx context.Context, rec *held.Record, called bool) (observation, error) {
	job, err := e.jobOf(ctx, rec)
	if graph.IsNotFound(err) {
		return e.readBackForgotten(ctx, rec, called)
	}
	if err != nil {
		return observation{}, fmt.Errorf("read job back: %w", err)
	}
	if job, err = e.withTask(ctx, rec, job); err != nil {
		return observation{}, err
	}
	if seen, err := e.observe(ctx, rec, job); err != nil || seen.outcome != "" {
		return seen, err
	}
	if !taskWaits(job.Tasks, rec.Task) {
		task, err := e.graph.Task(ctx, rec.Definition, rec.Task)
		if err != nil && !graph.IsNotFound(err) {
			return observation{}, fmt.Errorf("read task back: %w", err)
		}
		job.Tasks = []graph.Task{task}
		if seen, err := e.observe(ctx, rec, job); err != nil || seen.outcome != "" {
			return seen, err
		}
	}
	if (!taskWaits(job.Tasks, rec.Task) || !jobWaits(job.State)) && e.clock.since(rec.Decision.At) < unclearFor {
		return observation{}, errUnclear
	}
	return observation{settings: job.Settings}, nil
}

// observe is what a job shows of an effect; its outcome is empty when that can still be called
// for. Where a redirected job went is looked for at its printer if Graph does not show it.
func (e *Effects) observe(ctx context.Context, rec *held.Record, job graph.Job) (seen observation, err error) {
	seen.outcome, seen.late = observedOutcome(rec, job), redirectedEarlier(rec, job)
	if seen.outcome == held.Released && rec.Release.Job == "" {
		_, err = e.atDestination(ctx, rec)
	}
	return seen, err
}

// withTask is a job with its task. Graph may show a job that has ended without: then the task
// is read, as it says whether the job ended by us.
func (e *Effects) withTask(ctx context.Context, rec *held.Record, job graph.Job) (graph.Job, error) {
	known := slices.ContainsFunc(job.Tasks, func(t graph.Task) bool { return sameTask(t.ID, rec.Task) })
	if known || job.RedirectedTo != "" || jobWaits(job.State) {
		return job, nil
	}
	task, err := e.graph.Task(ctx, rec.Definition, rec.Task)
	switch {
	case graph.IsNotFound(err):
		return job, nil
	case err != nil:
		return job, fmt.Errorf("read task of a job that has ended: %w", err)
	}
	job.Tasks = append(slices.Clone(job.Tasks), task)
	return job, nil
}

// readBackForgotten says what became of a job that Graph does not know any more, now or
// for good. The task tells whether the effect happened, as only we can finish it, even if
// Graph refused the call; if Graph does not know the task either, the printer that the job
// was sent to. If nothing tells for long, an effect that was called for counts as made:
// what may have printed as printed, and what may have been refused as refused. One that
// Graph refused was not made.
func (e *Effects) readBackForgotten(ctx context.Context, rec *held.Record, called bool) (observation, error) {
	wait := unclearFor
	if !called {
		wait = refusedFor
	}
	done := observation{outcome: rec.State.Outcome()}
	redirected := done
	if rec.State == held.Aborting {
		redirected = observation{outcome: held.Gone, late: rec.Release != nil}
	}
	task, err := e.graph.Task(ctx, rec.Definition, rec.Task)
	known := err == nil
	if err != nil && !graph.IsNotFound(err) {
		return observation{}, fmt.Errorf("read task of a job that graph does not know: %w", err)
	}
	if rec.Release != nil && (!known || task.State == graph.TaskCompleted) {
		there, err := e.atDestination(ctx, rec)
		if err != nil || there {
			return redirected, err
		}
	}
	switch {
	case known && task.State == graph.TaskCompleted:
		return redirected, nil
	case known && task.State == graph.TaskAborted && rec.State == held.Aborting:
		return done, nil
	case known && task.State == graph.TaskAborted:
		return observation{outcome: held.Gone}, nil
	case e.clock.since(rec.Decision.At) < wait:
		return observation{}, errUnclear
	case !called, known && taskWaits([]graph.Task{task}, rec.Task):
		return observation{outcome: held.Gone}, nil
	}
	done.presumed = true
	return done, nil
}

// maxAtPrinter bounds how many jobs of a printer are looked through.
const maxAtPrinter = 10_000

// atDestination looks for a job at the printers that it was to be redirected to, and
// notes in the record which one it became.
func (e *Effects) atDestination(ctx context.Context, rec *held.Record) (bool, error) {
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

func (e *Effects) atPrinter(ctx context.Context, rec *held.Record, printer string) (bool, error) {
	n := 0
	for job, err := range e.graph.Jobs(ctx, printer) {
		var ge *graph.Error
		if errors.As(err, &ge) && !ge.Unavailable() {
			return false, nil // it may not be read, or is not there any more
		}
		if err != nil {
			return false, fmt.Errorf("look for the job at its printer: %w", err)
		}
		if from, err := graph.ParseJobURL(job.RedirectedFrom); err == nil && held.Ref(from) == rec.Ref {
			rec.Release.Printer, rec.Release.Job = printer, job.Ref.Job
			return true, nil
		}
		if n++; n == maxAtPrinter {
			break
		}
	}
	return false, nil
}

// redirectedEarlier reports whether a job that was to be aborted shows that it was redirected
// by an earlier try.
func redirectedEarlier(rec *held.Record, job graph.Job) bool {
	if rec.State == held.Completing {
		return rec.Release != nil && job.RedirectedTo != ""
	}
	return rec.State == held.Aborting && rec.Release != nil &&
		(job.RedirectedTo != "" || taskOfState(job.Tasks, rec.Task, graph.TaskCompleted))
}

func taskOfState(tasks []graph.Task, id string, state graph.TaskState) bool {
	return slices.ContainsFunc(tasks, func(t graph.Task) bool { return sameTask(t.ID, id) && t.State == state })
}

// taskWaits reports whether a task is surely not finished.
func taskWaits(tasks []graph.Task, id string) bool {
	for _, t := range tasks {
		if sameTask(t.ID, id) {
			return t.State == graph.TaskProcessing || t.State == graph.TaskPending
		}
	}
	return false
}

// jobWaits reports whether a job has surely not ended.
func jobWaits(s graph.JobState) bool {
	return s == graph.JobPaused || s == graph.JobPending || s == graph.JobProcessing || s == graph.JobStopped
}

// observedOutcome says which end a job has come to, seen from a record; empty when it
// has come to none and its task still waits for us. Where a redirected job went
// is noted in the record. Only the app of the task's trigger can finish a task
// or redirect, so a finished task of a job that was being released was
// redirected, also if the record says by now that the redirect was not made; and
// one that we let print has printed, however it ended at the printer.
func observedOutcome(rec *held.Record, job graph.Job) held.State {
	tried := rec.State == held.Releasing || (rec.State == held.Held && rec.Release != nil)
	ours := func(end, intent held.State) held.State {
		if rec.State == intent || rec.State == end {
			return end
		}
		if tried && (end == held.Completed || end == held.Released) {
			return held.Released
		}
		return held.Gone
	}
	if job.RedirectedTo != "" {
		if to, err := graph.ParseJobURL(job.RedirectedTo); err == nil && rec.Release != nil {
			rec.Release.Printer, rec.Release.Job = to.Printer, to.Job
		}
		return ours(held.Released, held.Releasing)
	}
	finished := taskOfState(job.Tasks, rec.Task, graph.TaskCompleted)
	switch {
	case finished && rec.State == held.Completing:
		return held.Completed
	case finished && tried: // what state a job is in that was redirected is not documented
		return held.Released
	}
	switch job.State {
	case graph.JobAborted:
		return ours(held.Aborted, held.Aborting)
	case graph.JobCanceled:
		return held.Gone
	case graph.JobCompleted:
		return ours(held.Completed, held.Completing)
	}
	switch {
	case finished:
		return ours(held.Completed, held.Completing)
	case taskOfState(job.Tasks, rec.Task, graph.TaskAborted):
		return ours(held.Aborted, held.Aborting)
	}
	return ""
}
