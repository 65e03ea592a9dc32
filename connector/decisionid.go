package connector

import (
	"slices"
	"strconv"
	"strings"

	"pullprint/connector/held"
)

// again is what a kind of decision that a job gets once is called in its id. A job that
// came to an end and was found waiting after all gets it once more: that one is named by
// the revision of the record too, as the audit takes one id once.
func again(rec *held.Record, rev uint64, what string) string {
	if rec.Came == 0 && !slices.ContainsFunc(rec.Trail, func(s held.Step) bool { return s.State.Final() }) {
		return what
	}
	return what + ":" + strconv.FormatUint(rev, 10)
}

// sameTask compares the ids of tasks; an earlier version stored them as they came.
func sameTask(a, b string) bool { return strings.EqualFold(a, b) }
