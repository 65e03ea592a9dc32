package policy_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pullprint/policy"
	"pullprint/policy/reasons"
)

// threeRules is a policy that TestShadow has in shadow.
const threeRules = `rules:
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

// In shadow every job gets the default, and the decision says what the rules
// would have done, if that is something else. The tests are of the rules.
func TestShadow(t *testing.T) {
	live, shadow := mustLoad(t, threeRules), mustLoad(t, "shadow: true\n"+threeRules)
	if got := shadow.Summary(); got != "3 rules (1 at arrival, 2 at release) in shadow" {
		t.Error(got)
	}
	bulk := func(r *policy.Request) { r.Job.Copies = 51 }
	night := func(r *policy.Request) { r.Now = time.Date(2026, 1, 5, 3, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		req     policy.Request
		verdict policy.Verdict
		shadow  string // verdict and rule
	}{
		"no rule":        {arriving(), policy.Hold, ""},
		"aborted":        {arriving(bulk), policy.Hold, "abort bulk"},
		"aborted direct": {arriving(bulk, direct), policy.Complete, "abort bulk"},
		"kept":           {arriving(release, night), policy.Redirect, "keep night"},
		"let go":         {arriving(release), policy.Redirect, ""},
	} {
		d := shadow.Decide(c.req)
		got := ""
		if s := d.Shadow; s != nil {
			got = string(s.Verdict) + " " + s.Rule
			want := live.Decide(c.req)
			want.PolicyHash = s.PolicyHash
			if !cmp.Equal(*s, want) {
				t.Errorf("%s: %+v, live %+v", name, s, want)
			}
		}
		if d.Verdict != c.verdict || d.Reason != "" || d.Rule != "" || got != c.shadow {
			t.Errorf("%s: %+v, shadow %q", name, d, got)
		}
		if live.Decide(c.req).Shadow != nil {
			t.Errorf("%s: a shadow of a live policy", name)
		}
	}
	broken := mustLoad(t,
		"shadow: true\n"+rules(`{name: broken, at: arrival, when: '1 / (job.copies - 1) > 0', verdict: abort, reason: a.b, text: a, remedy: b}`))
	if d := broken.Decide(arriving(direct)); d.Verdict != policy.Complete || d.Shadow == nil || d.Shadow.Reason != reasons.PolicyError ||
		d.Shadow.Err == "" {
		t.Errorf("a rule that breaks in shadow: %+v", d)
	}
}

// A rule at release sees where the owner stands.
func TestDeviceVariable(t *testing.T) {
	p := mustLoad(t,
		rules(`{name: colour-floor, at: release, when: 'job.color && device.id != "hq-2-west"', verdict: keep, reason: color.elsewhere, remedy: 'Go to hq-2-west, not {{device.id}}.'}`))
	if d := p.Decide(arriving(release, color, func(r *policy.Request) { r.Device = "hq-2-west" })); d.Verdict != policy.Redirect {
		t.Errorf("%+v", d)
	}
	if d := p.Decide(arriving(release, color, func(r *policy.Request) { r.Device = "hq-3-east" })); d.Verdict != policy.Keep ||
		d.Remedy != "Go to hq-2-west, not hq-3-east." {
		t.Errorf("%+v", d)
	}
}
