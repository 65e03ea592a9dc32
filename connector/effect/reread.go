package effect

import (
	"context"
	"net/http"
	"time"

	"pullprint/connector/job"
	"pullprint/connector/job/readback"
	"pullprint/trigger/graph"
	"pullprint/trigger/wait"
)

// secondLook is how long after it said that it does not know a job Graph is asked
// again: one of its servers may be behind the others.
const secondLook = 500 * time.Millisecond

// ReadJob reads a job. That Graph does not know it has to be said twice: a job that
// is taken for gone is lost to its owner.
func (e *Executor) ReadJob(ctx context.Context, ref graph.Ref) (graph.Job, error) {
	job, err := e.graph.Job(ctx, ref)
	if !graph.IsNotFound(err) {
		return job, err
	}
	if err := wait.Sleep(ctx, secondLook); err != nil {
		return graph.Job{}, err
	}
	return e.graph.Job(ctx, ref)
}

// jobOf reads the job of a record. Where its printer has given its number to another job, Graph
// does not know it any more.
func (e *Executor) jobOf(ctx context.Context, rec *job.Record) (graph.Job, error) {
	j, err := e.graph.Job(ctx, rec.Ref)
	if err == nil && readback.AnotherJob(rec, j) {
		return graph.Job{}, &graph.Error{Status: http.StatusNotFound}
	}
	return j, err
}
