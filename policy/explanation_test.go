package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
)

const explained = `zone: Europe/Zurich
rules:
  - {name: mono, at: release, when: '"Guests" in user.groups', set: {colorMode: blackAndWhite}}
  - {name: other, at: arrival, when: 'true', verdict: hold}
  - {name: bulk, at: release, when: 'job.copies > 10 && job.color', verdict: keep, reason: a.b, remedy: Print fewer.}
  - {name: night, at: release, when: 'now.getHours("Europe/Zurich") < 6', verdict: keep, reason: a.c, remedy: Wait.}
`

// The rules are those of the point in the order of the file: what each gave, with the values of
// its parts, which one decided, and which were not tried.
func TestExplainRules(t *testing.T) {
	p := mustLoad(t, explained)
	for name, c := range map[string]struct {
		req  policy.Request
		want []string // rule, result, and what it did
	}{
		"no rule": {arriving(release), []string{"mono false", "bulk false", "night false"}},
		"a rule":  {arriving(release, color, copies(11)), []string{"mono false", "bulk true decided", "night not tried"}},
		"rewritten first": {
			arriving(release, color, copies(11), func(r *policy.Request) { r.User.Groups = []string{"Guests"} }),
			[]string{"mono true set", "bulk false", "night false"},
		},
		"another point": {arriving(), []string{"other true decided"}},
		"out of reach": {
			arriving(release, func(r *policy.Request) { r.Missing = []policy.Dependency{policy.Directory} }),
			[]string{"mono unknown: the directory can't be told decided", "bulk not tried", "night not tried"},
		},
	} {
		e := p.Explain(c.req)
		var got []string
		for _, r := range e.Rules {
			text := r.Rule + " " + r.Result
			if r.Set {
				text += " set"
			}
			if r.Decided {
				text += " decided"
			}
			got = append(got, text)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(p.Decide(c.req), e.Decision); diff != "" {
			t.Errorf("%s: it is explained as another decision: %s", name, diff)
		}
	}
	bulk := p.Explain(arriving(release, color, copies(11))).Rules[1]
	want := []policy.Value{
		{"job.copies", "11"},
		{"job.copies > 10", "true"},
		{"job.color", "true"},
		{"job.copies > 10 && job.color", "true"},
	}
	if diff := cmp.Diff(want, bulk.Values); diff != "" || bulk.Line != 5 || bulk.When != "job.copies > 10 && job.color" {
		t.Errorf("%+v\n%s", bulk, diff)
	}
}

// Values are told in one line, and not at endless length.
func TestExplainValues(t *testing.T) {
	many := strings.Split("abcdefghijklm", "")
	r := arriving(func(r *policy.Request) {
		r.User.UPN, r.User.Groups = "a\nb\u202e", many
	})
	for when, want := range map[string]policy.Value{
		`user.upn != ""`:                     {"user.upn", `"a b"`},
		`"x" in user.groups`:                 {"user.groups", `["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", and 3 more]`},
		`now - job.created > duration("0s")`: {"now - job.created", "1m0s"},
		`1 / (job.copies - 1) > 0`:           {"1 / (job.copies - 1)", "error: the expression failed: division by zero"},
		`job.created < now`:                  {"job.created", "2026-03-10 11:59 UTC"},
		`double(job.copies) / 3.0 > 1.0`:     {"double(job.copies) / 3.0", "0.33"},
		`[job.copies, 2].size() > 2`:         {"[job.copies, 2].size()", "2"},
		`job == job`:                         {"job == job", "true"}, // a whole object is not written out
	} {
		p := mustLoad(t, rules("{name: r, at: arrival, when: '"+when+"', verdict: hold}"))
		values := p.Explain(r).Rules[0].Values
		if !slices.Contains(values, want) || slices.ContainsFunc(values, func(v policy.Value) bool { return v.Expression == "job" }) {
			t.Errorf("%s: %+v, want %+v among them", when, values, want)
		}
	}
}

// The changes are single ones with which it would come out otherwise, and only those.
func TestExplainChanges(t *testing.T) {
	budget := mustLoad(t, "allowances: [{name: all, when: 'true', pages: 10, every: week}]\n")
	late := func(r *policy.Request) { r.Now = time.Date(2026, 3, 10, 5, 30, 0, 0, zurich) }
	for name, c := range map[string]struct {
		policy *policy.Policy
		req    policy.Request
		want   []policy.Change
	}{
		"colour and copies": {
			mustLoad(t, explained), arriving(release, color, copies(11)), []policy.Change{
				{What: "in black and white", Verdict: policy.Redirect},
				{What: "in black and white and on both sides", Verdict: policy.Redirect},
				{What: "as one copy", Verdict: policy.Redirect},
				{What: "as one copy on both sides", Verdict: policy.Redirect},
				{What: "as one copy in black and white", Verdict: policy.Redirect},
				{What: "as one copy in black and white and on both sides", Verdict: policy.Redirect},
				{What: "if the owner were in \"Guests\"", Verdict: policy.Redirect},
			},
		},
		"a group": {
			mustLoad(t, explained), arriving(release, color, copies(11), func(r *policy.Request) { r.User.Groups = []string{"Guests"} }),
			[]policy.Change{
				{What: "at Wed 00:00", Verdict: policy.Keep, Reason: "a.c", Rule: "night"},
				{What: "if the owner were not in \"Guests\"", Verdict: policy.Keep, Reason: "a.b", Rule: "bulk"},
			},
		},
		"the hour": {
			mustLoad(t, explained), arriving(release, late), []policy.Change{{What: "at Tue 06:00", Verdict: policy.Redirect}},
		},
		"what is left": {
			budget, paying(t, budget, "5"), []policy.Change{
				{What: "with one page", Verdict: policy.Redirect},
				{What: "with the whole limit left on " + student.ID, Verdict: policy.Redirect},
			},
		},
		"out of reach": {
			mustLoad(t, explained), arriving(release, func(r *policy.Request) { r.Missing = []policy.Dependency{policy.Directory} }),
			[]policy.Change{{What: "if the directory could be told", Verdict: policy.Redirect}},
		},
	} {
		e := c.policy.Explain(c.req)
		if diff := cmp.Diff(c.want, e.Changes); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	r := paying(t, budget, "5")
	groups := slices.Clone(r.User.Groups)
	if e := budget.Explain(r); !cmp.Equal(e.Balances, r.Budget.Balances, cmp.AllowUnexported(quota.Period{})) ||
		!slices.Equal(groups, r.User.Groups) {
		t.Errorf("%+v", e.Balances)
	}
	if e := mustLoad(t, "shadow: true\n"+explained).Explain(arriving(release, color, copies(11))); e.Decision.Verdict != policy.Keep {
		t.Errorf("in shadow it is not explained what the rules say: %+v", e.Decision)
	}
	some := mustLoad(t, "allowances: [{name: all, when: 'job.color', pages: 10, every: week}]\nunmatched: refuse\n")
	if e := some.Explain(paying(t, some, "")); e.Decision.Reason != reasons.QuotaExhausted ||
		!slices.Contains(e.Changes, policy.Change{What: "in colour", Verdict: policy.Redirect}) {
		t.Errorf("a change with which somebody pays: %+v", e)
	}
}
