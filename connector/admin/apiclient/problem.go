package apiclient

import (
	"time"

	"pullprint/policy/badge"
)

// Problem is the body of every answer that is not a success (RFC 9457).
type Problem struct {
	// Type names the kind of problem, as urn:pullprint:problem:no-such-job.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong with this request, and what to do next.
	Detail string `json:"detail,omitempty"`
	// Errors are the mistakes of a file, row by row.
	Errors []*badge.RowError `json:"errors,omitempty"`

	// RetryAfter is when the client may try again: it goes into the header of that name.
	RetryAfter time.Duration `json:"-"`
}

// Error implements error.
func (p *Problem) Error() string { return p.Title + ": " + p.Detail }
