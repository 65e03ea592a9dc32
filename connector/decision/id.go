package decision

import (
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
func ReleaseID(task string, rev uint64) string {
	return task + ":" + idRelease + ":" + strconv.FormatUint(rev, 10)
}

// UnsureID is the id of the decision that keeps a job whose release could not be decided.
func UnsureID(task string) string { return task + ":" + idRelease + ":unsure" }

// IsRelease reports whether a reservation was made for a decision at release.
func IsRelease(attempt string) bool { return strings.Contains(attempt, ":"+idRelease+":") }

// KeepID is the id of a decision at release that keeps the job, at a time: the record, and so its
// revision, stays as it is.
func KeepID(releaseID string, at time.Time) string {
	return releaseID + ":" + strconv.FormatInt(at.UnixMilli(), 36)
}

// CancelID is the id of the decision to cancel a job. rev is as in onceID.
func CancelID(task string, rev uint64) string { return onceID(task, idCancel, rev) }

// ExpiryID is the id of the decision at the end of a hold, and of the notice before it. rev is as in
// onceID.
func ExpiryID(task string, rev uint64) string { return onceID(task, idExpiry, rev) }

// LateID is the id of the decision that a late redirect is found by. rev is as in onceID.
func LateID(task string, rev uint64) string { return onceID(task, idLate, rev) }

// IsLate reports whether an id is a LateID of a task.
func IsLate(id, task string) bool { return strings.HasPrefix(id, task+":"+idLate) }

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
// the audit takes one id once. rev is that revision then, else 0: see job.Record.OnceAt.
func onceID(task, kind string, rev uint64) string {
	id := task + ":" + kind
	if rev != 0 {
		id += ":" + strconv.FormatUint(rev, 10)
	}
	return id
}
