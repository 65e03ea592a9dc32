package policy_test

import (
	"strings"
	"testing"
	"time"

	"pullprint/policy"
	"pullprint/policy/policyfile"
	"pullprint/policy/quota"
)

var (
	noon    = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC) // a Tuesday
	student = policy.User{ID: "0f5b7a6e-0000-4000-8000-000000000001", UPN: "ada@example.com", Groups: []string{"students", "3c1f"}}
)

// arriving is an ordinary job at a pull queue, changed as a test needs it.
func arriving(change ...func(*policy.Request)) policy.Request {
	r := policy.Request{
		Point: policy.Arrival,
		Job:   policy.Job{Copies: 1, MediaSize: "A4", ContentType: "application/pdf", Size: 2_500_000, Created: noon.Add(-time.Minute)},
		User:  student, Queue: policy.Queue{Name: "Follow-Me", Mode: "pull"}, Now: noon,
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func direct(r *policy.Request)    { r.Queue = policy.Queue{Name: "Poster", Mode: "direct"} }
func onArrival(r *policy.Request) { r.Point = policy.Arrival }
func release(r *policy.Request)   { r.Point = policy.Release }
func color(r *policy.Request)     { r.Job.Color = true }

var zurich = func() *time.Location {
	zone, err := quota.LoadZone("Europe/Zurich")
	if err != nil {
		panic(err)
	}
	return zone
}()

func copies(n int) func(*policy.Request) { return func(r *policy.Request) { r.Job.Copies = n } }

func mustLoad(tb testing.TB, src string) *policy.Policy {
	tb.Helper()
	if src == "" {
		src = "rules: []" // a file that says nothing is not a policy
	}
	p, err := policyfile.Load("policy.yaml", []byte(src))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// rules makes a policy of one-line rules.
func rules(lines ...string) string {
	return "rules:\n  - " + strings.Join(lines, "\n  - ") + "\n"
}
