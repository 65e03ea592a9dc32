package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/release"
	"pullprint/trigger/graph"
)

// JobFilter says which jobs are listed; an empty field lets all through. Owner is an
// object id or a user name, Job an id, of whatever queue.
type JobFilter struct{ Owner, Queue, Job, State string }

// JobList is the answer to GET /v1/jobs: newest first.
type JobList struct {
	Jobs []JobEntry `json:"jobs"`
	// Next, when set, is the cursor of the next page.
	Next string `json:"next,omitempty"`
}

// JobEntry is a job in a list.
type JobEntry struct {
	graph.Ref
	Owner     string    `json:"owner,omitempty"`
	Queue     string    `json:"queue"`
	State     job.State `json:"state"`
	Created   time.Time `json:"created,omitzero"`
	Seen      time.Time `json:"seen"`
	HoldUntil time.Time `json:"hold_until,omitzero"`
	// Reason is the code of the newest decision, if it has one.
	Reason string `json:"reason,omitempty"`
}

// JobDetail is the answer to GET /v1/jobs/{printer}/{job}.
type JobDetail struct {
	Job   job.Record `json:"job"`
	Trace []Event    `json:"trace"`
	// Complete is false when there were more decisions than could be read.
	Complete bool `json:"trace_complete"`
}

// Jobs lists jobs, newest first, all pages up to most.
func (c *Client) Jobs(ctx context.Context, f JobFilter, most int) ([]JobEntry, error) {
	var all []JobEntry
	for cursor := ""; ; {
		page, err := c.JobPage(ctx, f, cursor, max(1, min(MaxPage, most-len(all))))
		if err != nil {
			return nil, err
		}
		all = append(all, page.Jobs...)
		if cursor = page.Next; cursor == "" || len(all) >= most {
			return all, nil
		}
	}
}

// JobPage is a page of jobs, newest first, behind the cursor of an earlier page.
func (c *Client) JobPage(ctx context.Context, f JobFilter, cursor string, limit int) (page JobList, err error) {
	q := parameters(map[string]string{
		"owner": f.Owner, "queue": f.Queue, "job": f.Job, "state": f.State, "cursor": cursor, "limit": strconv.Itoa(limit),
	})
	err = c.call(ctx, http.MethodGet, "/v1/jobs?"+q.Encode(), nil, &page)
	return page, err
}

func jobPath(r graph.Ref) string {
	return "/v1/jobs/" + url.PathEscape(r.Printer) + "/" + url.PathEscape(r.Job)
}

// Job reads a job with its trace.
func (c *Client) Job(ctx context.Context, r graph.Ref) (out JobDetail, err error) {
	err = c.call(ctx, http.MethodGet, jobPath(r), nil, &out)
	return out, err
}

// Release releases a job at a device, printed as set says; nil leaves it as it
// was sent. The note says in the audit why.
func (c *Client) Release(
	ctx context.Context, r graph.Ref, device string, set *decision.Settings, note string,
) (out release.Outcome, err error) {
	err = c.call(ctx, http.MethodPost, jobPath(r)+"/release", ReleaseBody{device, set, note}, &out)
	return out, err
}

// Cancel aborts a held job; reason is told to its owner.
func (c *Client) Cancel(ctx context.Context, r graph.Ref, reason string) (out release.Refused, err error) {
	err = c.call(ctx, http.MethodPost, jobPath(r)+"/cancel", CancelBody{reason}, &out)
	return out, err
}

// Tap shows a badge at a device.
func (c *Client) Tap(ctx context.Context, device, number string) (out release.Outcome, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/taps", TapBody{Device: device, Badge: number}, &out)
	return out, err
}

// ReleaseBody is the body of a release. Set is a variant that costs less, as a
// refusal names it.
type ReleaseBody struct {
	Device string             `json:"device"`
	Set    *decision.Settings `json:"set,omitempty"`
	// Note says in the audit why.
	Note string `json:"note,omitempty"`
}

// CancelBody is the body of POST /v1/jobs/{printer}/{job}/cancel.
type CancelBody struct {
	Reason string `json:"reason"`
}

// TapBody is the body of POST /v1/taps.
type TapBody struct {
	Device string `json:"device"`
	Badge  string `json:"badge,omitempty"`
	// User is a user name or an employee id, in the place of a badge.
	User string `json:"user,omitempty"`
	// PIN was typed at the reader.
	PIN string `json:"pin,omitempty"`
}
