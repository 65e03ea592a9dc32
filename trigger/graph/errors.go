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

// Error is the error of every failed call to Graph. Its text never contains a sentence of the
// server, which could quote a user; Code and the ids lead to the details
// (https://learn.microsoft.com/graph/errors).
type Error struct {
	// Operation is the name of the operation, as get_job; it is also a label of the metrics.
	Operation string
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Code is error.code of the answer, or empty.
	Code string
	// RequestID is Graph's id of the last try, ClientRequestID ours.
	RequestID, ClientRequestID string
	// RetryAfter is how long Graph asked to wait, at most 5 minutes; 0 if it did not.
	RetryAfter time.Duration
	// Err is the cause, if any: an *auth.Error, a context's error, a failed connection, or an
	// answer that can't be used.
	Err error

	fate  fate
	write bool
}

// fate is what is known about a request that failed.
type fate uint8

const (
	answered fate = iota // Graph answered with Status
	unsent               // certainly not processed
	lost                 // possibly processed
	refused              // by this package: a retry does not help
	garbled              // Graph reported success, but its answer can't be used
)

// Error says what failed, and the id that finds it in Microsoft's logs.
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

// NotFound reports whether the object does not exist, or no longer.
func (e *Error) NotFound() bool {
	return e.Status == http.StatusNotFound || e.Status == http.StatusGone
}

// IsNotFound reports whether err is an *Error with NotFound.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.NotFound()
}

// Unavailable reports whether Graph or the authority could not be reached, was overloaded or
// failed: the same call may succeed later. It is false if only the caller gave up, and for what
// requires another configuration.
func (e *Error) Unavailable() bool {
	var ae *auth.Error
	switch {
	case e.Status == http.StatusTooManyRequests || e.Status >= 500:
		return true
	case e.Status != 0 && e.fate != lost, e.fate == refused, e.fate == garbled, errors.Is(e.Err, context.Canceled):
		return false
	case errors.As(e.Err, &ae):
		return !ae.Permanent()
	}
	return e.Err != nil
}

// Throttled reports whether Graph asked to wait, which says nothing about the object of the
// call.
func (e *Error) Throttled() bool {
	return e.Status == http.StatusTooManyRequests || e.RetryAfter > 0
}

// Ambiguous reports whether this was a write that may have taken effect: it was sent, and then
// the answer was lost, late, a 5xx or unusable. Read the object back before doing anything
// else.
func (e *Error) Ambiguous() bool {
	return e.write && e.fate != unsent && (e.fate == lost || e.fate == garbled || e.Status >= 500)
}

var (
	errInvalidID = errors.New("an id is not of the form that goes into a URL")
	errOther     = errors.New("the answer is not what was asked for")
	errInvalid   = errors.New("an argument is missing or too long")
	errTooLarge  = errors.New("the answer is too large")
	errNextLink  = errors.New("the next page of the list is not below the configured address")
	errManyPages = errors.New("the list has too many pages")
	errPagesLoop = errors.New("the list repeats a page")
)
