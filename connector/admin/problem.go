package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/directory"
	"pullprint/connector/index"
	"pullprint/connector/job"
	"pullprint/connector/privacy"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/connector/tap"
	"pullprint/policy/badge"
	"pullprint/policy/quota"
)

func failure(status int, kind, title, detail string) *apiclient.Problem {
	return &apiclient.Problem{Type: "urn:pullprint:problem:" + kind, Title: title, Status: status, Detail: detail}
}

// retryIn is a problem that tells the client when to try again.
func retryIn(d time.Duration, p *apiclient.Problem) *apiclient.Problem {
	p.RetryAfter = d
	return p
}

func badRequest(format string, args ...any) *apiclient.Problem {
	return failure(http.StatusBadRequest, "bad-request", "The request can't be read", fmt.Sprintf(format, args...))
}

// ProblemOf is the answer for an error. The cause of an internal error is not in the answer:
// it is to be logged, unless whoever asked has ended it.
func ProblemOf(err error) (p *apiclient.Problem, logged bool) {
	p = problemOf(err)
	if own, ok := errors.AsType[*apiclient.Problem](err); ok && own == p {
		return p, false
	}
	return p, p.Status == http.StatusServiceUnavailable && !errors.Is(err, context.Canceled)
}

func problemOf(err error) *apiclient.Problem {
	var p *apiclient.Problem
	var locked *tap.LockedError
	var rows badge.ImportError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &locked):
		return retryIn(time.Until(locked.Until), failure(http.StatusTooManyRequests, "reader-locked", "The reader is locked",
			"Too many unknown badges were shown; it opens again by itself."))
	case errors.As(err, &rows):
		p = failure(http.StatusUnprocessableEntity, "bad-rows", "The file has mistakes; nothing was stored",
			"Correct the lines and send the whole file again.")
		p.Errors = rows
		return p
	}
	if p = cmp.Or(sentinel(err), pinProblem(err)); p != nil {
		return p
	}
	if errors.Is(err, store.ErrUnavailable) {
		return retryIn(tryAgainAfter, failure(http.StatusServiceUnavailable, "store-unavailable", "The store does not answer",
			"Nothing is lost: jobs stay held. It comes back by itself once the store does; /readyz says what is wrong with it."))
	}
	return retryIn(tryAgainAfter, failure(http.StatusServiceUnavailable, "unavailable", "It can't be done at the moment",
		"Try again in a few seconds; the log of the service says why."))
}

// tryAgainAfter is when a client is asked to try again after the store or Entra did not
// answer: most of their interruptions, as a new leader of a cluster, are over by then.
const tryAgainAfter = 5 * time.Second

// sentinel is the answer for an error that means one thing; nil for others.
func sentinel(err error) *apiclient.Problem {
	// rest is the error without the sentinel, which the title says already.
	rest := func(of error) string { return strings.TrimPrefix(err.Error(), of.Error()+": ") }
	switch {
	case errors.Is(err, release.ErrNoDevice):
		return failure(http.StatusNotFound, "no-such-device", "There is no such device",
			"Write the id of a device as the configuration has it, under devices[].id.")
	case errors.Is(err, release.ErrNoJob):
		return failure(http.StatusNotFound, "no-such-job", "There is no such job",
			"No record of this job"+strings.TrimPrefix(err.Error(), release.ErrNoJob.Error())+".")
	case errors.Is(err, index.ErrReading):
		return retryIn(tryAgainAfter, failure(http.StatusServiceUnavailable, "starting", "The job records are still being read",
			"The service has started a moment ago and does not know all jobs yet. Try again in a few seconds; /readyz "+
				"says what is wrong if they can't be read."))
	case errors.Is(err, tap.ErrTooOften):
		return failure(http.StatusTooManyRequests, "too-often", "You have asked to print very often",
			"Nothing was printed: wait for ten minutes, or show your badge at a printer.")
	case errors.Is(err, privacy.ErrUnknownPerson):
		return failure(http.StatusNotFound, "no-such-person", "There is no such person", err.Error())
	case errors.Is(err, directory.ErrDirectory):
		return failure(http.StatusServiceUnavailable, "no-directory", "The user name can't be looked up", err.Error())
	case errors.Is(err, tap.ErrNumberDirectory):
		return retryIn(tryAgainAfter, failure(http.StatusServiceUnavailable, "no-directory", "The badge can't be looked up in Entra",
			err.Error()))
	case errors.Is(err, privacy.ErrLeft):
		return failure(http.StatusConflict, "left-over", "Not everything could be erased", err.Error())
	case errors.Is(err, privacy.ErrUnfinished):
		return failure(http.StatusConflict, "unfinished", "The person can't be erased yet", err.Error())
	case errors.Is(err, release.ErrNotHeld):
		return failure(http.StatusConflict, "not-held", "The job is not held", rest(release.ErrNotHeld))
	case errors.Is(err, job.ErrInvalid), errors.Is(err, badge.ErrEnrolment), errors.Is(err, badge.ErrNumber),
		errors.Is(err, quota.ErrOverflow):
		return failure(http.StatusUnprocessableEntity, "invalid", "The request is not valid", rest(job.ErrInvalid))
	case errors.Is(err, badge.ErrDamaged):
		return failure(http.StatusConflict, "badge-damaged", "What is stored of the badge can't be read",
			"Have the badge enrolled again, or the store restored from a backup; /readyz names what is damaged.")
	case errors.Is(err, badge.ErrTaken), errors.Is(err, badge.ErrConflict):
		return failure(http.StatusConflict, "badge-taken", "The badge can't be enrolled", err.Error())
	case errors.Is(err, badge.ErrNotValid):
		return failure(http.StatusNotFound, "no-such-badge", "There is no such badge", "Nobody has enrolled it.")
	case errors.Is(err, badge.ErrCode):
		return failure(http.StatusUnprocessableEntity, "bad-code", "The code can't be used", err.Error())
	}
	return nil
}

func writeProblem(rw http.ResponseWriter, p *apiclient.Problem) {
	rw.Header().Set("Content-Type", "application/problem+json")
	switch {
	case p.Status == http.StatusUnauthorized:
		rw.Header().Set("WWW-Authenticate", `Bearer realm="pullprint"`)
	case p.RetryAfter > 0:
		rw.Header().Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	rw.WriteHeader(p.Status)
	_ = json.NewEncoder(rw).Encode(p) // the caller may have gone
}

func writeJSON(rw http.ResponseWriter, v any) {
	rw.Header().Set("Content-Type", "application/json")
	if ready, ok := v.(json.RawMessage); ok { // the encoder would read all of it again for each who asks
		_, _ = rw.Write(ready) //nolint:gosec // JSON, not HTML
		return
	}
	_ = json.NewEncoder(rw).Encode(v) // the caller may have gone
}
