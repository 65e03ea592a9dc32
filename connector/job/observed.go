package job

import (
	"slices"
	"strings"

	"pullprint/trigger/graph"
)

// RedirectedEarlier reports whether a job that was to be aborted or completed shows that it was
// redirected by an earlier try.
func RedirectedEarlier(rec *Record, job graph.Job) bool {
	if rec.State == Completing {
		return rec.Release != nil && job.RedirectedTo != ""
	}
	return rec.State == Aborting && rec.Release != nil &&
		(job.RedirectedTo != "" || taskOfState(job.Tasks, rec.Task, graph.TaskCompleted))
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

// ObservedOutcome says which end a job has come to, seen from a record; empty when it
// has come to none and its task still waits for us. Where a redirected job went
// is noted in the record. Only the app of the task's trigger can finish a task
// or redirect, so a finished task of a job that was being released was
// redirected, also if the record says by now that the redirect was not made; and
// one that we let print has printed, however it ended at the printer.
func ObservedOutcome(rec *Record, job graph.Job) State {
	tried := rec.State == Releasing || (rec.State == Held && rec.Release != nil)
	if job.RedirectedTo != "" {
		if to, err := graph.ParseJobURL(job.RedirectedTo); err == nil && rec.Release != nil {
			rec.Release.Printer, rec.Release.Job = to.Printer, to.Job
		}
		return rec.endedBy(tried, Released, Releasing)
	}
	finished := taskOfState(job.Tasks, rec.Task, graph.TaskCompleted)
	switch {
	case finished && rec.State == Completing:
		return Completed
	case finished && tried: // what state a job is in that was redirected is not documented
		return Released
	case job.State == graph.JobAborted:
		return rec.endedBy(tried, Aborted, Aborting)
	case job.State == graph.JobCanceled:
		return Gone
	case job.State == graph.JobCompleted, finished:
		return rec.endedBy(tried, Completed, Completing)
	case taskOfState(job.Tasks, rec.Task, graph.TaskAborted):
		return rec.endedBy(tried, Aborted, Aborting)
	}
	return ""
}

// endedBy is the end that a job has come to which is seen at an end: that end if we intended it, the
// redirect if one was tried, else it ended without us.
func (r *Record) endedBy(tried bool, end, intent State) State {
	switch {
	case r.State == intent || r.State == end:
		return end
	case tried && end != Aborted:
		return Released
	}
	return Gone
}

// AnotherJob reports whether a job is surely not the one of a record with its number: it was
// created at another time, and has other tasks. Graph does not say that a printer never gives a
// number twice.
func AnotherJob(rec *Record, job graph.Job) bool {
	return !rec.Created.IsZero() && !job.Created.IsZero() && !job.Created.Equal(rec.Created) && len(job.Tasks) > 0 &&
		!slices.ContainsFunc(job.Tasks, func(t graph.Task) bool { return SameTask(t.ID, rec.Task) })
}

// StillWaits reports whether a job is that of a record, and surely has not ended: nor has its task.
func StillWaits(rec *Record, job graph.Job) bool {
	return !AnotherJob(rec, job) && job.RedirectedTo == "" && JobWaits(job.State) && TaskWaits(job.Tasks, rec.Task)
}

// Revivable reports whether a record was ended because Graph did not know its job,
// and Graph shows that job waiting.
func Revivable(rec *Record, job graph.Job) bool {
	return rec.State == Gone && job.RedirectedTo == "" && JobWaits(job.State)
}

// TaskFinished reports whether a task has surely come to its end.
func TaskFinished(s graph.TaskState) bool { return s == graph.TaskCompleted || s == graph.TaskAborted }

// SameTask compares the ids of tasks; an earlier version stored them as they came.
func SameTask(a, b string) bool { return strings.EqualFold(a, b) }
