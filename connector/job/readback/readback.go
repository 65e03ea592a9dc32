// Package readback tells what has become of a job and its task, as Graph shows them, by what its record
// says was intended. An answer that leaves room for doubt is told as such: never as an end. No I/O.
package readback

import (
	"slices"
	"strings"

	"pullprint/connector/job"
	"pullprint/trigger/graph"
)

// RedirectedEarlier reports whether a job that was to be aborted or completed shows that it was
// redirected by an earlier try.
func RedirectedEarlier(rec *job.Record, seen graph.Job) bool {
	if rec.State == job.Completing {
		return rec.Release != nil && seen.RedirectedTo != ""
	}
	return rec.State == job.Aborting && rec.Release != nil &&
		(seen.RedirectedTo != "" || taskOfState(seen.Tasks, rec.Task, graph.TaskCompleted))
}

func taskOfState(tasks []graph.Task, id string, state graph.TaskState) bool {
	return slices.ContainsFunc(tasks, func(t graph.Task) bool { return SameTask(t.ID, id) && t.State == state })
}

// TaskWaits reports whether a task is surely not finished.
func TaskWaits(tasks []graph.Task, id string) bool {
	for _, t := range tasks {
		if SameTask(t.ID, id) {
			return t.State == graph.TaskProcessing || t.State == graph.TaskPending
		}
	}
	return false
}

// JobWaits reports whether a job has surely not ended.
func JobWaits(s graph.JobState) bool {
	return s == graph.JobPaused || s == graph.JobPending || s == graph.JobProcessing || s == graph.JobStopped
}

// Outcome says which end a job has come to, seen from a record; empty when it
// has come to none and its task still waits for us. Where a redirected job went
// is noted in the record. Only the app of the task's trigger can finish a task
// or redirect, so a finished task of a job that was being released was
// redirected, also if the record says by now that the redirect was not made; and
// one that we let print has printed, however it ended at the printer.
func Outcome(rec *job.Record, seen graph.Job) job.State {
	tried := rec.State == job.Releasing || (rec.State == job.Held && rec.Release != nil)
	if seen.RedirectedTo != "" {
		if to, err := graph.ParseJobURL(seen.RedirectedTo); err == nil && rec.Release != nil {
			rec.Release.Printer, rec.Release.Job = to.Printer, to.Job
		}
		return endedBy(rec, tried, job.Released, job.Releasing)
	}
	finished := taskOfState(seen.Tasks, rec.Task, graph.TaskCompleted)
	switch {
	case finished && rec.State == job.Completing:
		return job.Completed
	case finished && tried: // what state a job is in that was redirected is not documented
		return job.Released
	case seen.State == graph.JobAborted:
		return endedBy(rec, tried, job.Aborted, job.Aborting)
	case seen.State == graph.JobCanceled:
		return job.Gone
	case seen.State == graph.JobCompleted, finished:
		return endedBy(rec, tried, job.Completed, job.Completing)
	case taskOfState(seen.Tasks, rec.Task, graph.TaskAborted):
		return endedBy(rec, tried, job.Aborted, job.Aborting)
	}
	return ""
}

// endedBy is the end that a job has come to which is seen at an end: that end if we intended it, the
// redirect if one was tried, else it ended without us.
func endedBy(r *job.Record, tried bool, end, intent job.State) job.State {
	switch {
	case r.State == intent || r.State == end:
		return end
	case tried && end != job.Aborted:
		return job.Released
	}
	return job.Gone
}

// AnotherJob reports whether a job is surely not the one of a record with its number: it was
// created at another time, and has other tasks. Graph does not say that a printer never gives a
// number twice.
func AnotherJob(rec *job.Record, seen graph.Job) bool {
	return !rec.Created.IsZero() && !seen.Created.IsZero() && !seen.Created.Equal(rec.Created) && len(seen.Tasks) > 0 &&
		!slices.ContainsFunc(seen.Tasks, func(t graph.Task) bool { return SameTask(t.ID, rec.Task) })
}

// StillWaits reports whether a job is that of a record, and surely has not ended: nor has its task.
func StillWaits(rec *job.Record, seen graph.Job) bool {
	return !AnotherJob(rec, seen) && seen.RedirectedTo == "" && JobWaits(seen.State) && TaskWaits(seen.Tasks, rec.Task)
}

// Revivable reports whether a record was ended because Graph did not know its job,
// and Graph shows that job waiting.
func Revivable(rec *job.Record, seen graph.Job) bool {
	return rec.State == job.Gone && seen.RedirectedTo == "" && JobWaits(seen.State)
}

// TaskFinished reports whether a task has surely come to its end.
func TaskFinished(s graph.TaskState) bool { return s == graph.TaskCompleted || s == graph.TaskAborted }

// SameTask compares the ids of tasks; an earlier version stored them as they came.
func SameTask(a, b string) bool { return strings.EqualFold(a, b) }
