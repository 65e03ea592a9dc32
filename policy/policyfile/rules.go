package policyfile

import (
	"fmt"
	"regexp"
	"strings"

	"pullprint/policy"
	"pullprint/policy/reasons"
)

// points are those at which a rule can apply.
var points = []policy.Point{policy.Arrival, policy.Release}

// verdicts are what a rule may say at each point; of a rule that has no such
// point, at any.
var verdicts = map[policy.Point][]policy.Verdict{
	policy.Arrival: {policy.Hold, policy.Complete, policy.Abort},
	policy.Release: {policy.Redirect, policy.Keep, policy.Abort},
	"":             {policy.Hold, policy.Complete, policy.Redirect, policy.Keep, policy.Abort},
}

// verdictsAt are the verdicts of a point in words, and what they are.
func verdictsAt(point policy.Point, between string) (list, what string) {
	var words []string
	for _, v := range verdicts[point] {
		words = append(words, string(v))
	}
	what = "verdict"
	if point != "" {
		what += " at " + string(point)
	}
	return strings.Join(words, between), what
}

var (
	ruleName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)
	reasonCode = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)
)

func (l *loader) rules(rules []ruleFile) {
	if len(rules) > maxRules {
		l.doc.Add("rules", "", "more than %d rules", maxRules)
		return
	}
	seen := map[string]int{}
	for i, r := range rules {
		at := fmt.Sprintf("rules[%d]", i)
		l.unique(at, "rules", r.Name, seen)
		l.rule(at, r)
	}
}

func (l *loader) rule(at string, r ruleFile) {
	l.need(at, "name", r.Name, ruleName,
		"a short name in lower-case letters, digits and dashes: it is a metric label")
	point := l.point(at, r.At)
	def := policy.Rule{
		Name: r.Name, Line: l.doc.At(at), At: r.At, When: r.When, Verdict: r.Verdict, Reason: r.Reason, IPP: r.IPP, Set: r.Set,
	}
	if r.Set != nil {
		l.settings(at, r)
		l.def.Rules = append(l.def.Rules, def)
		return
	}
	l.verdict(at, point, r.Verdict)
	refuses := r.Verdict == policy.Abort || r.Verdict == policy.Keep
	if refuses || r.Reason != "" {
		l.reason(at, r.Reason)
	}
	if refuses {
		l.needText(at, "remedy", r.Remedy, "say what the owner can do next")
	}
	if r.Verdict == policy.Abort {
		l.needText(at, "text", r.Text, "say why, in a sentence for the owner")
	}
	if r.Verdict == policy.Keep && len(r.Text) == 0 {
		r.Text = localized{anyLanguage: keptText}
	}
	oneOf(l, at+".ipp", r.IPP, "reason of a job's state in IPP", ippKeywords...)
	def.Text, def.Remedy = l.texts(at+".text", r.Text), l.texts(at+".remedy", r.Remedy)
	l.def.Rules = append(l.def.Rules, def)
}

// point is that of the rule at a path, or empty when the rule has none.
func (l *loader) point(at string, p policy.Point) policy.Point {
	l.refuse(p == "", at+".at", "write at: arrival or at: release", "the rule does not say at which point it applies")
	if !oneOf(l, at+".at", p, "point", points...) {
		return ""
	}
	return p
}

func (l *loader) verdict(at string, point policy.Point, v policy.Verdict) {
	list, what := verdictsAt(point, ", ")
	l.refuse(v == "", at+".verdict", "one of "+list, "the rule has no verdict")
	oneOf(l, at+".verdict", v, what, verdicts[point]...)
}

func (l *loader) need(at, key, value string, form *regexp.Regexp, hint string) {
	l.refuse(value == "", at+"."+key, hint, "the rule has no %s", key)
	l.refuse(value != "" && !form.MatchString(value), at+"."+key, hint, "%q is not a valid %s", value, key)
}

func (l *loader) reason(at, code string) {
	l.need(at, "reason", code, reasonCode, "a stable code as color.too-large: lower-case words with dots and dashes")
	_, taken := reasons.Of(code)
	l.refuse(taken, at+".reason", "choose another code", "%s is a reason code of the program itself", code)
	l.refuse(len(code) > maxReason, at+".reason", "shorten it: it is a metric label",
		"the code is longer than %d characters", maxReason)
}

func (l *loader) needText(at, key string, value localized, hint string) {
	l.refuse(value.empty(), at+"."+key, hint, "the rule refuses a job and has no %s", key)
}
