package connector

import (
	"context"
	"net/http"
	"slices"
	"time"

	"pullprint/connector/held"
	"pullprint/trigger/graph"
	"pullprint/trigger/wait"
)

// secondLook is how long after it said that it does not know a job Graph is asked
// again: one of its servers may be behind the others.
const secondLook = 500 * time.Millisecond

// readJob reads a job. That Graph does not know it has to be said twice: a job that
// is taken for gone is lost to its owner.
func (e *Effects) readJob(ctx context.Context, ref held.Ref) (graph.Job, error) {
	job, err := e.graph.Job(ctx, graph.Ref(ref))
	if !graph.IsNotFound(err) {
		return job, err
	}
	if err := wait.Sleep(ctx, secondLook); err != nil {
		return graph.Job{}, err
	}
	return e.graph.Job(ctx, graph.Ref(ref))
}

// jobOf reads the job of a record. Where its printer has given its number to another job, Graph
// does not know it any more.
func (e *Effects) jobOf(ctx context.Context, rec *held.Record) (graph.Job, error) {
	job, err := e.graph.Job(ctx, graph.Ref(rec.Ref))
	if err == nil && anotherJob(rec, job) {
		return graph.Job{}, &graph.Error{Status: http.StatusNotFound}
	}
	return job, err
}

// anotherJob reports whether a job is surely not the one of a record with its number: it was
// created at another time, and has other tasks. Graph does not say that a printer never gives a
// number twice.
func anotherJob(rec *held.Record, job graph.Job) bool {
	return !rec.Created.IsZero() && !job.Created.IsZero() && !job.Created.Equal(rec.Created) && len(job.Tasks) > 0 &&
		!slices.ContainsFunc(job.Tasks, func(t graph.Task) bool { return sameTask(t.ID, rec.Task) })
}

// revivable reports whether a record was ended because Graph did not know its job,
// and Graph shows that job waiting.
func revivable(rec *held.Record, job graph.Job) bool {
	return rec.State == held.Gone && job.RedirectedTo == "" && jobWaits(job.State)
}

// finished reports whether a task has surely come to its end.
func finished(s graph.TaskState) bool { return s == graph.TaskCompleted || s == graph.TaskAborted }
