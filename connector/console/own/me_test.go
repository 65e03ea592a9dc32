package own

import (
	"strings"
	"testing"

	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/connector/job/paper"
	"pullprint/connector/release"
	"pullprint/policy/reasons"
)

// A person is told what became of a job at its printer, not only that it was let go on.
func TestOutcomeInWords(t *testing.T) {
	at, in := &job.Release{Device: "hq-2-west"}, newPages(t).Site.Words("en")
	for want, rec := range map[string]job.Record{
		"on its way":                        {State: job.Releasing, Release: at},
		"not printed":                       {State: job.Aborted},
		"deleted by you":                    {State: job.Aborted, Decision: decision.Decision{Reason: reasons.CanceledByOwner}},
		"no longer known":                   {State: job.Gone},
		"sent to Canteen":                   {State: job.Released, Release: at, Paper: &job.Paper{State: paper.Pending}},
		"sent to the printer":               {State: job.Completed},
		"printed at Canteen":                {State: job.Released, Release: at, Paper: &job.Paper{State: paper.Printed}},
		"printed":                           {State: job.Completed, Paper: &job.Paper{State: paper.Printed}},
		"not printed: it failed at Canteen": {State: job.Released, Release: at, Paper: &job.Paper{State: paper.Failed}},
		"not printed: it was canceled at the printer": {State: job.Completed, Paper: &job.Paper{State: paper.Canceled}},
	} {
		j := myJob{Quote: release.Quote{Record: rec}, Place: "Canteen"}
		if got := j.Outcome(in); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if bad := strings.HasPrefix(want, "not printed"); bad != (j.Look() == job.Aborted) {
			t.Errorf("%q is shown as %s", want, j.Look())
		}
		if why := j.Why(in); want == "deleted by you" && why != (release.Reason{}) {
			t.Errorf("%q has the reason %+v", want, why)
		}
	}
}
