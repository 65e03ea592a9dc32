package policy_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pullprint/policy"
	"pullprint/policy/reasons"

	"github.com/google/go-cmp/cmp"
)

const (
	abortColor = `{name: no-color, at: arrival, when: job.color, verdict: abort, reason: color.no,
		text: 'No colour here, {{user.upn}}.', remedy: Print it in black and white.}`
	keepNight = `{name: night, at: release, when: 'now.getHours("Europe/Zurich") < 14', verdict: keep, reason: hours.closed,
		remedy: 'Release it after 14:00.'}`
	completeOK = `{name: posters, at: arrival, when: 'job.queue == "Poster"', verdict: complete}`
)

// plain is a decision with nothing but a verdict.
func plain(at policy.Point, v policy.Verdict) policy.Decision {
	return policy.Decision{Point: at, Verdict: v}
}

func TestDecide(t *testing.T) {
	all := rules(abortColor, keepNight, completeOK, `{name: late, at: arrival, when: 'job.color', verdict: hold}`)
	for name, c := range map[string]struct {
		policy string
		req    policy.Request
		want   policy.Decision
	}{
		"pull holds":              {"", arriving(), plain(policy.Arrival, policy.Hold)},
		"direct completes":        {"", arriving(direct), plain(policy.Arrival, policy.Complete)},
		"a release is redirected": {"", arriving(release), plain(policy.Release, policy.Redirect)},
		"direct may hold":         {"default: {direct: hold}", arriving(direct), plain(policy.Arrival, policy.Hold)},
		"an unknown mode holds": {
			"", arriving(func(r *policy.Request) { r.Queue.Mode = "other" }), plain(policy.Arrival, policy.Hold),
		},
		"an unknown point holds": {"", arriving(func(r *policy.Request) { r.Point = "other" }), plain("other", policy.Hold)},
		"no rule matches":        {all, arriving(), plain(policy.Arrival, policy.Hold)},
		"the first that matches": {
			all, arriving(color), policy.Decision{
				Point: policy.Arrival, Verdict: policy.Abort, Reason: "color.no", Rule: "no-color",
				Text:   "No colour here, ada@example.com.",
				Remedy: "Print it in black and white.",
			},
		},
		"rules of another point are not": {rules(keepNight), arriving(), plain(policy.Arrival, policy.Hold)},
		"keep, in the zone of the rule": {
			all, arriving(release), policy.Decision{
				Point: policy.Release, Verdict: policy.Keep, Reason: "hours.closed", Rule: "night",
				Text: "This job can't be released now.", Remedy: "Release it after 14:00.",
			},
		},
		"after the hour": {
			all, arriving(release, func(r *policy.Request) { r.Now = noon.Add(time.Hour) }), plain(policy.Release, policy.Redirect),
		},
		"complete at a direct queue": {
			all, arriving(direct),
			policy.Decision{Point: policy.Arrival, Verdict: policy.Complete, Rule: "posters"},
		},
		"redirect by rule": {
			rules(`{name: go, at: release, when: 'true', verdict: redirect, reason: staff.first}`,
				keepNight), arriving(release),
			policy.Decision{Point: policy.Release, Verdict: policy.Redirect, Reason: "staff.first", Rule: "go"},
		},
		"hold by rule at a direct queue": {
			rules(`{name: wait, at: arrival, when: 'queue.mode == "direct"', verdict: hold, reason: ask.first}`), arriving(direct),
			policy.Decision{Point: policy.Arrival, Verdict: policy.Hold, Reason: "ask.first", Rule: "wait"},
		},
		"abort at release": {
			rules(`{name: stop, at: release, when: 'true', verdict: abort, reason: it.stops, text: It stops., remedy: Ask.}`), arriving(release),
			policy.Decision{
				Point: policy.Release, Verdict: policy.Abort, Reason: "it.stops", Rule: "stop",
				Text: "It stops.", Remedy: "Ask.",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := mustLoad(t, c.policy)
			c.want.PolicyHash = p.Hash()
			got := p.Decide(c.req)
			c.want.IPP = got.IPPKeyword("")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A rule that fails holds or keeps, never more, and says nothing of the job.
func TestPolicyError(t *testing.T) {
	const secret = "PLANTED"
	loud := arriving(func(r *policy.Request) {
		r.User.UPN, r.Job.MediaSize, r.User.Groups = secret+"@x", secret, []string{secret}
	})
	for when, want := range map[string]string{
		`1 / (job.copies - 1) > 0`:                                      "division by zero",
		`1 % (job.copies - 1) > 0`:                                      "modulus by zero",
		`user.groups[7] == ""`:                                          "index out of bounds",
		`{"a": 1}[user.upn] == 1`:                                       "no such key",
		`int(user.upn) > 3`:                                             "type conversion error",
		`job.size + 9223372036854775807 > 0`:                            "overflow",
		`user.upn.charAt(99) == "a"`:                                    "index out of range",
		`user.upn.matches(user.upn + "(")`:                              "",
		`user.groups.map(g, g + g)[0].substring(30) == ""`:              "index out of range",
		`timestamp(user.upn) < now`:                                     "",
		`timestamp("9999-12-31T00:00:00Z") + duration("9999h") > now`:   "",
		`user.groups.filter(g, int(g) > 0).size() > 0 || 1/0 == 1`:      "",
		`queue.mode == "pull" && user.groups.all(g, int(g) > job.size)`: "type conversion error",
	} {
		for _, point := range []policy.Point{policy.Arrival, policy.Release} {
			src := rules(`{name: broken, at: ` + string(point) + `, when: '` + when + `', verdict: abort, reason: a.b, text: a, remedy: b}`)
			loud.Point = point
			d := mustLoad(t, src).Decide(loud)
			verdict := map[policy.Point]policy.Verdict{policy.Arrival: policy.Hold, policy.Release: policy.Keep}[point]
			if d.Verdict != verdict || d.Reason != reasons.PolicyError || d.Rule != "broken" || d.Text == "" || d.Remedy == "" {
				t.Errorf("%s at %s: %+v", when, point, d)
			}
			if !strings.HasPrefix(d.Err, "when: ") || !strings.Contains(d.Err, want) || strings.Contains(d.Err, secret) {
				t.Errorf("%s: Err = %q, want %q in it", when, d.Err, want)
			}
		}
	}
}

// An error ends the evaluation: what comes after a broken rule does not decide.
func TestErrorEnds(t *testing.T) {
	p := mustLoad(t, rules(`{name: broken, at: arrival, when: '1 / (job.copies - 1) > 0', verdict: hold}`, abortColor))
	if d := p.Decide(arriving(color)); d.Rule != "broken" || d.Verdict != policy.Hold {
		t.Errorf("%+v", d)
	}
	if d := p.Decide(arriving(color, func(r *policy.Request) { r.Job.Copies = 3 })); d.Rule != "no-color" || d.Verdict != policy.Abort {
		t.Errorf("%+v", d)
	}
}

func TestCompleteAtPullQueue(t *testing.T) {
	p := mustLoad(t, rules(`{name: all, at: arrival, when: 'true', verdict: complete}`))
	d := p.Decide(arriving())
	if d.Verdict != policy.Hold || d.Reason != reasons.PolicyError || d.Rule != "all" || !strings.Contains(d.Err, "pull queue") {
		t.Errorf("%+v", d)
	}
	if d := p.Decide(arriving(direct)); d.Verdict != policy.Complete || d.Err != "" {
		t.Errorf("%+v", d)
	}
}

// inGroups is somebody in many groups, more than anybody is in.
func inGroups(n int) func(*policy.Request) {
	return func(r *policy.Request) {
		r.User.Groups = make([]string, n)
		for i := range r.User.Groups {
			r.User.Groups[i] = "a group with a name of usual length"
		}
	}
}

const searchGroups = `user.groups.exists(g, !g.startsWith(g))`

// longGroupCost is about what searchGroups costs for each of longGroups: a tenth of its
// length. Short names would have to be a million.
const longGroupCost = 10_000

func longGroups(n int) func(*policy.Request) {
	return func(r *policy.Request) {
		r.User.Groups = slices.Repeat([]string{strings.Repeat("x", 10*longGroupCost)}, n)
	}
}

// What costs too much is stopped and is an error like any other. The same
// expression is free to run on an ordinary request.
func TestCost(t *testing.T) {
	t.Parallel()
	p := mustLoad(t, rules(`{name: slow, at: arrival, when: '`+searchGroups+`', verdict: hold, reason: slow.rule}`))
	for _, n := range []int{0, policy.OrdinaryGroups, policy.OrdinaryGroups + 1} {
		if d := p.Decide(arriving(inGroups(n))); d.Err != "" || d.Rule != "" {
			t.Errorf("%d groups: %+v", n, d)
		}
	}
	d := p.Decide(arriving(longGroups(1000)))
	if d.Verdict != policy.Hold || d.Reason != reasons.PolicyError || !strings.Contains(d.Err, "cost limit exceeded") {
		t.Errorf("very many groups: %+v", d)
	}
}

// The limit is for all expressions of a decision together: two of three fit.
func TestCostTogether(t *testing.T) {
	t.Parallel()
	line := func(name string) string {
		return `{name: ` + name + `, at: arrival, when: '` + searchGroups + `', verdict: hold}`
	}
	p := mustLoad(t, rules(line("first"), line("second"), line("third")))
	d := p.Decide(arriving(longGroups(policy.CostLimit * 2 / 5 / longGroupCost)))
	if !strings.Contains(d.Err, "cost limit exceeded") || d.Rule != "third" {
		t.Errorf("%+v", d)
	}
}

// A request that is not ordinary in any of its parts is counted.
func TestOrdinary(t *testing.T) {
	long := strings.Repeat("x", policy.OrdinaryString+1)
	r := arriving(inGroups(policy.OrdinaryGroups))
	if !policy.Ordinary(&r) {
		t.Fatal("an ordinary request is not")
	}
	for name, change := range map[string]func(*policy.Request){
		"many groups": inGroups(policy.OrdinaryGroups + 1),
		"group":       func(r *policy.Request) { r.User.Groups = []string{"a", long} },
		"id":          func(r *policy.Request) { r.User.ID = long },
		"upn":         func(r *policy.Request) { r.User.UPN = long },
		"media":       func(r *policy.Request) { r.Job.MediaSize = long },
		"type":        func(r *policy.Request) { r.Job.ContentType = long },
		"queue":       func(r *policy.Request) { r.Queue.Name = long },
		"mode":        func(r *policy.Request) { r.Queue.Mode = long },
	} {
		if r := arriving(change); policy.Ordinary(&r) {
			t.Errorf("%s: ordinary", name)
		}
	}
}

func TestRecover(t *testing.T) {
	p := mustLoad(t, rules(abortColor))
	p.Break()
	if d := p.Decide(arriving(color)); d.Reason != reasons.PolicyError || d.Verdict != policy.Hold ||
		d.Err != "when: "+policy.ErrEval.Error() {
		t.Errorf("%+v", d)
	}
}

func TestHash(t *testing.T) {
	a, b := mustLoad(t, "default: {pull: hold}"), mustLoad(t, "default: {pull: hold} ")
	if a.Hash() == b.Hash() || len(a.Hash()) != 12 || policy.Default().Hash() != "e3b0c44298fc" {
		t.Errorf("%s %s %s", a.Hash(), b.Hash(), policy.Default().Hash())
	}
	if a.Decide(arriving()).PolicyHash != a.Hash() {
		t.Error("the decision does not name its policy")
	}
}

func TestNeedsGroups(t *testing.T) {
	for when, want := range map[string]bool{
		`job.color`:                                  false,
		`user.id == user.upn`:                        false,
		`"a" in user.groups`:                         true,
		`size(user.groups) == 0`:                     true,
		`has(user.groups)`:                           true,
		`[user].exists(u, u.groups.size() > 0)`:      true,
		`type(user) == type(job)`:                    true, // user as a whole: better one call too many
		`job.queue == "user.groups"`:                 false,
		`.user.groups.size() > 0`:                    true,
		`["a"].exists(groups, groups == queue.name)`: false,
	} {
		src := rules(`{name: r, at: arrival, when: '` + when + `', verdict: hold}`)
		if got := mustLoad(t, src).Needs(policy.Arrival, policy.ModePull).Groups; got != want {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	if !mustLoad(t,
		rules(`{name: r, at: release, when: 'true', verdict: keep, reason: a.b, remedy: 'You are in {{size(user.groups)}} groups.'}`)).Needs(
		policy.Release, policy.ModePull).Groups {
		t.Error("a template that looks at the groups needs them")
	}
	if policy.Default().Needs(policy.Arrival, policy.ModePull).Groups {
		t.Error("the default needs groups")
	}
}

func TestSentence(t *testing.T) {
	for want, d := range map[string]policy.Decision{
		"Too large. Print less. [color.no]": {Text: " Too large.\n", Remedy: "Print less.", Reason: "color.no"},
		"Print less. [color.no]":            {Remedy: "Print less.", Reason: "color.no"},
		"[color.no]":                        {Reason: "color.no"},
	} {
		if got := d.Sentence(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// One policy decides for many at once: run with -race.
func TestConcurrent(t *testing.T) {
	p := mustLoad(t,
		rules(abortColor,
			`{name: member, at: arrival, when: 'user.groups.exists(g, g == "none") || now.getHours("Europe/Zurich") > 22', verdict: hold}`,
			keepNight))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				var d policy.Decision
				switch i % 3 {
				case 0:
					d = p.Decide(arriving(color))
				case 1:
					d = p.Decide(arriving(release))
				case 2:
					d = p.Decide(arriving())
				}
				if want := []policy.Verdict{policy.Abort, policy.Keep, policy.Hold}[i%3]; d.Verdict != want || d.Err != "" {
					t.Errorf("%+v, want %s", d, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestSummary(t *testing.T) {
	for want, src := range map[string]string{
		"0 rules (0 at arrival, 0 at release)": "",
		"1 rule (0 at arrival, 1 at release)":  rules(keepNight),
		"3 rules (2 at arrival, 1 at release)": rules(abortColor, keepNight, completeOK),
	} {
		if got := mustLoad(t, src).Summary(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// An error of CEL may quote the job; ours never do.
func TestErrorsAreOurs(t *testing.T) {
	if err := policy.EvalError(errors.New("no such key: PLANTED")); strings.Contains(err.Error(), "PLANTED") ||
		!errors.Is(err, policy.ErrEval) {
		t.Error(err)
	}
	if err := policy.EvalError(errors.New("PLANTED")); !errors.Is(err, policy.ErrEval) || strings.Contains(err.Error(), "PLANTED") {
		t.Error(err)
	}
}
