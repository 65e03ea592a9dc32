package policyfile

import (
	"strings"
	"testing"

	"pullprint/policy/reasons"
)

const tested = `rules:
  - {name: bulk, at: arrival, when: job.copies > 50, verdict: abort, reason: copies.too-many, text: Too many., remedy: Print fewer.}
  - {name: night, at: release, when: 'now.getHours() < 6', verdict: keep, reason: hours.closed, remedy: Wait.}
  - {name: never, at: release, when: 'false', verdict: redirect}
tests:
  - {name: held, expect: {verdict: hold}}
  - {name: bulk, job: {copies: 51}, expect: {verdict: abort, reason: copies.too-many, rule: bulk}}
  - {name: direct, queue: {name: Poster, mode: direct}, expect: {verdict: complete}}
  - {name: at night, at: release, now: 2026-01-05T03:00:00Z, expect: {verdict: keep, rule: night}}
  - {name: at noon, at: release, expect: {verdict: redirect}}
`

func TestTests(t *testing.T) {
	r, err := Test("policy.yaml", []byte(tested))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != 5 || r.Failed() != 0 || r.Results[3].Line != 9 {
		t.Errorf("%+v", r)
	}
	if len(r.Uncovered) != 1 || r.Uncovered[0] != (Uncovered{"never", 4}) {
		t.Errorf("uncovered %+v", r.Uncovered)
	}
	mustLoad(t, tested)
}

// A failing test is in the report, says what is otherwise, and keeps the file
// from loading.
func TestFailingTests(t *testing.T) {
	for from, to := range map[string]string{
		"{name: held, expect: {verdict: hold}}": "{name: held, expect: {verdict: abort}}",
		"reason: copies.too-many, rule: bulk}}": "reason: copies.other, rule: bulk}}",
		"expect: {verdict: keep, rule: night}}": "expect: {verdict: keep, rule: bulk}}",
		"now: 2026-01-05T03:00:00Z, ":           "",
		"{verdict: complete}":                   "{verdict: hold}",
		"when: job.copies > 50":                 "when: job.copies > 51",
	} {
		src := strings.Replace(tested, from, to, 1)
		if src == tested {
			continue
		}
		r, err := Test("policy.yaml", []byte(src))
		if err != nil || r.Failed() != 1 {
			t.Errorf("%s: %+v, %v", to, r, err)
			continue
		}
		if _, err := Load("policy.yaml", []byte(src)); err == nil || !strings.Contains(err.Error(), "fails: ") {
			t.Errorf("%s: loaded, %v", to, err)
		}
	}
	r, err := Test("policy.yaml", []byte(strings.Replace(tested, "job.copies > 50", "1 / (job.copies - 1) > 0", 1)))
	if err != nil || r.Failed() == 0 || !strings.Contains(r.Results[0].Failure, "reason is") &&
		!strings.Contains(r.Results[0].Failure, "division by zero") && r.Results[0].Decision.Reason != reasons.PolicyError {
		t.Errorf("a rule that breaks: %+v, %v", r, err)
	}
}

// Whatever is wrong with the rules is told as by Load.
func TestTestsOfABrokenFile(t *testing.T) {
	src := []byte("rules: [{name: a, at: arrival, when: job.x, verdict: hold}]\n")
	_, want := Load("policy.yaml", src)
	if _, err := Test("policy.yaml", src); err == nil || err.Error() != want.Error() {
		t.Errorf("%v, want %v", err, want)
	}
	if _, err := Test("policy.yaml", make([]byte, maxFile+1)); err == nil {
		t.Error("a file that is too large")
	}
}
