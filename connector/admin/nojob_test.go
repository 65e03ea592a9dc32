package admin

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/trigger/graph"
)

// noJobs is a store without a record.
type noJobs struct{ job.KV }

func (noJobs) Watch(ctx context.Context, _ string, _ func(string, []byte, uint64), caughtUp func()) error {
	caughtUp()
	<-ctx.Done()
	return ctx.Err()
}

// The answer about a job without a record says for how long records are kept, as configured.
func TestNoRecordSaysRetention(t *testing.T) {
	for keep, want := range map[time.Duration]string{
		24 * time.Hour:      "No record of this job; finished jobs are kept for 1 day.",
		30 * 24 * time.Hour: "No record of this job; finished jobs are kept for 30 days.",
	} {
		store := job.NewStore(noJobs{}, keep)
		a := &API{Deps: Deps{Jobs: store, Index: index.New(store, nil, nil, zap.NewNop())}}
		go func() { _ = a.Index.Run(t.Context()) }()
		_, err := a.Record(t.Context(), graph.Ref{Printer: "p", Job: "1"})
		if p, _ := ProblemOf(err); p.Detail != want || p.Status != 404 {
			t.Errorf("%d %q, want %q", p.Status, p.Detail, want)
		}
	}
	if p := problemOf(release.ErrNoJob); p.Detail != "No record of this job." {
		t.Errorf("%q", p.Detail)
	}
}
