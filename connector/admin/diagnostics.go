package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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

// Diagnostics is the answer to GET /v1/diagnostics: how the process is, for those who look
// for what is wrong. It names queues, jobs and addresses: see support-bundle.
type Diagnostics struct {
	Version  string    `json:"version"`
	Revision string    `json:"revision"`
	Go       string    `json:"go"`
	Instance string    `json:"instance"`
	Started  time.Time `json:"started"`
	Now      time.Time `json:"now"`
	// Readiness is what /readyz?verbose says, a line each.
	Readiness []string            `json:"readiness"`
	Streams   []store.StreamState `json:"streams"`
	// Wrong is what could not be found out.
	Wrong string `json:"wrong,omitempty"`
	// Goroutines is their number, Stacks where they are: code alone, no data.
	Goroutines int    `json:"goroutines"`
	Stacks     string `json:"stacks"`
	// Metrics is what /metrics says.
	Metrics string `json:"metrics"`
	// Lines are those of the log that were written last, each in JSON; Dropped is how
	// many came before and are not kept.
	Lines   []string `json:"lines"`
	Dropped int      `json:"dropped"`
}

func (a *API) diagnose(r *request) (any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), listWithin)
	defer cancel()
	in := a.Process
	d := Diagnostics{
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

// Diagnose asks how the daemon's process is.
func (c *Client) Diagnose(ctx context.Context) (out Diagnostics, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/diagnostics", nil, &out)
	return out, err
}
