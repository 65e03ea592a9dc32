package apiclient

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"pullprint/connector/store"
)

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

// Diagnose asks how the daemon's process is.
func (c *Client) Diagnose(ctx context.Context) (out Diagnostics, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/diagnostics", nil, &out)
	return out, err
}

// BackupTimeout bounds the sending of a backup: 30 GB at 16 MB/s.
const BackupTimeout = 30 * time.Minute

// maxProblem bounds the answer that there is no backup: a problem has some hundred bytes.
const maxProblem = 64 << 10

// Backup has the daemon write a copy of everything that it has stored to w. Reading it
// shows whether it is complete: see backup.Verify.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, BackupTimeout)
	defer cancel()
	req, err := c.newRequest(ctx, http.MethodPost, "/v1/backup", nil)
	if err != nil {
		return err
	}
	res, err := c.withTimeout(0).http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		answer, err := io.ReadAll(io.LimitReader(res.Body, maxProblem))
		if err != nil {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		return refusal(res, answer)
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("read the backup from the daemon: %w; its log says why", err)
	}
	return nil
}
