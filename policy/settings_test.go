package policy_test

import (
	"strings"
	"testing"

	"pullprint/policy"
	"pullprint/policy/policyfile"
)

const setting = `
rules:
  - {name: guests, at: release, when: '"guests" in user.groups', set: {colorMode: blackAndWhite, copies: 1}}
  - {name: save, at: release, when: 'job.copies > 10', set: {duplexMode: flipOnLongEdge, pagesPerSheet: 2}}
  - {name: two, at: release, when: 'job.queue == "Lab"', set: {copies: 2, mediaSize: A5, quality: low}}
  - {name: colour, at: release, when: 'job.color', verdict: keep, reason: color.no, remedy: Wait.}
  - {name: both-sides, at: release, when: 'job.duplex && job.mediaSize == "A5"', verdict: abort, reason: a.b, text: a, remedy: b}
`

// A rule that sets goes on, the next ones see what it made of the job, a later
// one wins, and only a job that can still print is changed.
func TestSet(t *testing.T) {
	p := mustLoad(t, setting)
	guest := func(r *policy.Request) { r.User.Groups = []string{"guests"} }
	many := func(r *policy.Request) { r.Job.Copies = 30 }
	lab := func(r *policy.Request) { r.Queue.Name = "Lab" }
	for name, c := range map[string]struct {
		req     policy.Request
		verdict policy.Verdict
		set, by string
	}{
		"nobody":               {arriving(release), policy.Redirect, "{}", ""},
		"colour is kept":       {arriving(release, color), policy.Keep, "{}", ""},
		"of a guest it is not": {arriving(release, color, guest), policy.Redirect, "{copies: 1, colorMode: blackAndWhite}", "guests"},
		"one copy of a guest":  {arriving(release, guest, many), policy.Redirect, "{copies: 1, colorMode: blackAndWhite}", "guests"},
		"many":                 {arriving(release, many), policy.Redirect, "{duplexMode: flipOnLongEdge, pagesPerSheet: 2}", "save"},
		"the later wins": {
			arriving(release, guest,
				lab), policy.Redirect, "{copies: 2, colorMode: blackAndWhite, mediaSize: A5, quality: low}", "guests, two",
		},
		"an aborted job": {arriving(release, many, lab), policy.Abort, "{}", ""},
		"another point":  {arriving(color, guest), policy.Hold, "{}", ""},
	} {
		d := p.Decide(c.req)
		if d.Verdict != c.verdict || d.Set.String() != c.set || d.SetBy != c.by {
			t.Errorf("%s: %s %s by %q; want %s %s by %q", name, d.Verdict, d.Set, d.SetBy, c.verdict, c.set, c.by)
		}
	}
	shadow := mustLoad(t, "shadow: true\n"+setting)
	if d := shadow.Decide(arriving(release, many)); d.Set != (policy.Settings{}) || d.Shadow == nil || d.Shadow.SetBy != "save" {
		t.Errorf("in shadow: %+v", d)
	}
	if !mustLoad(t, setting).Needs(policy.Release, policy.ModePull).Groups {
		t.Error("a rule that sets looks at the groups")
	}
}

// Tests of a file can look at what is set, and cover a rule that sets.
func TestTestsOfSet(t *testing.T) {
	src := setting + `tests:
  - {name: many, at: release, job: {copies: 30}, expect: {verdict: redirect, set: {duplexMode: flipOnLongEdge, pagesPerSheet: 2}}}
  - {name: guest, at: release, user: {groups: [guests]}, expect: {verdict: redirect, set: {}}}
`
	r, err := policyfile.Test("policy.yaml", []byte(src))
	if err != nil || r.Failed() != 1 || r.Results[1].Failure != "set is {copies: 1, colorMode: blackAndWhite}, not {}" {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, u := range r.Uncovered {
		if u.Rule == "guests" || u.Rule == "save" {
			t.Errorf("%s is covered", u.Rule)
		}
	}
}

func TestSettingsOver(t *testing.T) {
	full := policy.Settings{1, "color", "oneSided", "A4", 1, "low"}
	other := policy.Settings{2, "auto", "flipOnLongEdge", "A3", 2, "high"}
	if full.Over(other) != full || (policy.Settings{}).Over(other) != other {
		t.Error("what is set is not kept, or what is left is not filled")
	}
	var j policy.Job
	other.Apply(&j)
	if !j.Color || !j.Duplex || j.Copies != 2 || j.MediaSize != "A3" {
		t.Errorf("%+v", j)
	}
	if got := full.String(); strings.Count(got, ": ") != 6 {
		t.Error(got)
	}
}
