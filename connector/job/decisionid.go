package job

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Ids of decisions. They are the message ids of the audit, and name reservations: an id that
// differs by a character repeats the decision and the charge after an upgrade. All are made here;
// the parts are joined by colons.

// What a decision is about, as a part of its id.
const (
	idArrival   = "arrival"
	idRelease   = "release"
	idLate      = "release:late" // a redirect that was taken for not made was found made
	idCancel    = "cancel"
	idExpiry    = "expiry"
	idExhausted = "exhausted" // what replaces a decision to print
	idKept      = "kept"      // what replaces a decision to redirect
)

// ArrivalID is the id of the first decision about a task.
func ArrivalID(task string) string { return task + ":" + idArrival }

// ArrivalAgainID is the id of another decision at arrival, by the policy of a hash. rev is the
// revision of the record where the same policy may decide differently, else 0.
func ArrivalAgainID(first, policyHash string, rev uint64) string {
	id := first + ":" + policyHash
	if rev != 0 {
		id += ":" + strconv.FormatUint(rev, 10)
	}
	return id
}

// ReleaseID is the id of a decision at release of a record at a revision.
func (r *Record) ReleaseID(rev uint64) string {
	return r.Task + ":" + idRelease + ":" + strconv.FormatUint(rev, 10)
}

// UnsureID is the id of the decision that keeps a job whose release could not be decided.
func (r *Record) UnsureID() string { return r.Task + ":" + idRelease + ":unsure" }

// IsRelease reports whether a reservation was made for a decision at release.
func IsRelease(attempt string) bool { return strings.Contains(attempt, ":"+idRelease+":") }

// KeepID is the id of a decision at release that keeps the job, at a time: the record, and so its
// revision, stays as it is.
func KeepID(releaseID string, at time.Time) string {
	return releaseID + ":" + strconv.FormatInt(at.UnixMilli(), 36)
}

// CancelID is the id of the decision to cancel a job.
func (r *Record) CancelID(rev uint64) string { return r.onceID(rev, idCancel) }

// ExpiryID is the id of the decision at the end of a hold, and of the notice before it.
func (r *Record) ExpiryID(rev uint64) string { return r.onceID(rev, idExpiry) }

// LateID is the id of the decision that a late redirect is found by.
func (r *Record) LateID(rev uint64) string { return r.onceID(rev, idLate) }

// IsLate reports whether the newest decision has a LateID.
func (r *Record) IsLate() bool { return strings.HasPrefix(r.Decision.ID, r.Task+":"+idLate) }

// ExhaustedID is the id of the decision that replaces one to print whose account is exhausted.
func ExhaustedID(id string) string { return id + ":" + idExhausted }

// KeptID is the id of the decision that replaces one to redirect that was not made.
func KeptID(id string) string { return id + ":" + idKept }

// AttemptID names a reservation that is made anew for a decision, at a revision of the record.
func AttemptID(decision string, rev uint64) string {
	return decision + ":" + strconv.FormatUint(rev, 10)
}

// onceID is the id of a kind of decision that a job gets once. A job that came to an end and was
// found waiting after all gets it once more: that one is named by the revision of the record too, as
// the audit takes one id once.
func (r *Record) onceID(rev uint64, kind string) string {
	id := r.Task + ":" + kind
	if r.Came == 0 && !slices.ContainsFunc(r.Trail, func(s Step) bool { return s.State.Final() }) {
		return id
	}
	return id + ":" + strconv.FormatUint(rev, 10)
}

// SameTask compares the ids of tasks; an earlier version stored them as they came.
func SameTask(a, b string) bool { return strings.EqualFold(a, b) }
