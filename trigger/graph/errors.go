package graph

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pullprint/trigger/graph/auth"
)

// Error is the one error of a call to Graph. Its text never holds what the
// server said in words, for that may quote what a user wrote; Code and the ids
// are there to look it up (https://learn.microsoft.com/graph/errors).
type Error struct {
	// Operation is what was asked, as get_job; also the label of the metrics.
	Operation string
	// Status is the HTTP status, 0 when no answer came.
	Status int
	// Code is error.code of the answer, else empty.
	Code string
	// RequestID is Graph's, ClientRequestID ours, of the last try.
	RequestID, ClientRequestID string
	// RetryAfter is what Graph asked for, at most 5 minutes; 0 if nothing.
	RetryAfter time.Duration
	// Err is the cause when there is one: an *auth.Error, a context's error, a
	// failed connection, an answer that can't be understood.
	Err error

	fate  fate
	write bool
}

// fate is what is known of a request that failed.
type fate uint8

const (
	answered fate = iota // Status tells
	unsent               // surely not processed
	lost                 // it may have been processed
	refused              // by ourselves, for good: asking again won't help
	garbled              // answered with success, in a form that we can't use
)

// Error says what failed and how to find it in Microsoft's logs.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("graph ")
	b.WriteString(e.Operation)
	if e.Status != 0 {
		b.WriteString(": status ")
		b.WriteString(strconv.Itoa(e.Status))
	}
	if e.Code != "" {
		b.WriteString(" ")
		b.WriteString(e.Code)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	if e.RequestID != "" {
		b.WriteString(" (request-id ")
		b.WriteString(e.RequestID)
		b.WriteString(")")
	} else if e.ClientRequestID != "" {
		b.WriteString(" (client-request-id ")
		b.WriteString(e.ClientRequestID)
		b.WriteString(")")
	}
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// NotFound reports whether what was asked for is not there, or no more.
func (e *Error) NotFound() bool {
	return e.Status == http.StatusNotFound || e.Status == http.StatusGone
}

// IsNotFound reports whether err is an *Error that says that what was asked for is not there,
// or no more.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.NotFound()
}

// Unavailable reports whether Graph or the authority could not be reached, was
// too busy or failed: the same call may succeed later. It is false when all that
// went wrong is that the caller gave up, and for what only a new configuration
// can mend.
func (e *Error) Unavailable() bool {
	var ae *auth.Error
	switch {
	case e.Status == http.StatusTooManyRequests || e.Status >= 500:
		return true
	case e.Status != 0 && e.fate != lost:
		return false
	case e.fate == refused || e.fate == garbled || errors.Is(e.Err, context.Canceled):
		return false
	case errors.As(e.Err, &ae):
		return !ae.Permanent()
	}
	return e.Err != nil
}

// Throttled reports whether Graph asked to come later, which says nothing about
// what was asked for.
func (e *Error) Throttled() bool {
	return e.Status == http.StatusTooManyRequests || e.RetryAfter > 0
}

// Ambiguous reports whether this was a write that may have happened all the
// same: it was sent, and then the answer got lost, took too long, was a 5xx or
// could not be understood. Read back before doing anything else.
func (e *Error) Ambiguous() bool {
	return e.write && e.fate != unsent && (e.fate == lost || e.fate == garbled || e.Status >= 500)
}

var (
	errInvalidID  = errors.New("an id is not of the form that goes into a URL")
	errOther      = errors.New("the answer is not what was asked for")
	errInvalid    = errors.New("an argument is missing or too long")
	errTooLarge   = errors.New("the answer is too large")
	errNextLink   = errors.New("the list goes on outside of the configured address")
	errManyPages  = errors.New("the list has too many pages")
	errPagesLoop  = errors.New("the list comes back to a page that was read")
	errRatePassed = errors.New("no time left to wait for our own rate limit")
)
