package job

import (
	"slices"
	"strconv"
	"strings"
)

// OnceMore is what a kind of decision that a job gets once is called in its id. A job that
// came to an end and was found waiting after all gets it once more: that one is named by
// the revision of the record too, as the audit takes one id once.
func OnceMore(rec *Record, rev uint64, what string) string {
	if rec.Came == 0 && !slices.ContainsFunc(rec.Trail, func(s Step) bool { return s.State.Final() }) {
		return what
	}
	return what + ":" + strconv.FormatUint(rev, 10)
}

// SameTask compares the ids of tasks; an earlier version stored them as they came.
func SameTask(a, b string) bool { return strings.EqualFold(a, b) }
