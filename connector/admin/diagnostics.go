package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/health"
	"pullprint/connector/store"
)

// Process is what GET /v1/diagnostics says of the process itself; all fields are needed.
type Process struct {
	Version, Revision, Go string
	Started               time.Time
	Metrics               prometheus.Gatherer
	// Streams says how streams and buckets are.
	Streams func(ctx context.Context) ([]store.StreamState, error)
	// Lines are those of the log that were written last, and how many came before.
	Lines func() (lines []json.RawMessage, dropped int)
}

func (a *API) diagnose(r *request) (any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), listWithin)
	defer cancel()
	in := a.Process
	d := apiclient.Diagnostics{
		Version: in.Version, Revision: in.Revision, Go: in.Go, Instance: a.Instance, Started: in.Started, Now: time.Now(),
		Goroutines: runtime.NumGoroutine(), Streams: []store.StreamState{}, Lines: []string{},
	}
	for _, r := range a.Health.Results(ctx) {
		d.Readiness = append(d.Readiness, r.String())
	}
	streams, err := in.Streams(ctx)
	d.Streams = append(d.Streams, streams...)
	if err != nil {
		d.Wrong = err.Error()
	}
	var stacks bytes.Buffer
	if p := pprof.Lookup("goroutine"); p != nil {
		_ = p.WriteTo(&stacks, 1) // a buffer takes everything
	}
	d.Stacks = stacks.String()
	d.Metrics = health.MetricsText(in.Metrics, r.Request)
	lines, dropped := in.Lines()
	for _, l := range lines {
		d.Lines = append(d.Lines, string(l))
	}
	d.Dropped = dropped
	return d, nil
}
