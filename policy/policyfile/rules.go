package policyfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"pullprint/policy"
	"pullprint/policy/reasons"
	"pullprint/policy/strictyaml"
)

// verdicts are what a rule may say at each point; of a rule that has no such
// point, at any.
var verdicts = map[policy.Point][]string{
	policy.Arrival: {string(policy.Hold), string(policy.Complete), string(policy.Abort)},
	policy.Release: {string(policy.Redirect), string(policy.Keep), string(policy.Abort)},
	"": {
		string(policy.Hold), string(policy.Complete), string(policy.Redirect), string(policy.Keep), string(policy.Abort),
	},
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
		if first, twice := seen[r.Name]; twice && r.Name != "" {
			l.doc.Add(at+".name", fmt.Sprintf("the other is in line %d", l.doc.At(fmt.Sprintf("rules[%d]", first))),
				"two rules are called %q", r.Name)
		} else {
			seen[r.Name] = i
		}
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
	if r.IPP != "" && !slices.Contains(ippKeywords, r.IPP) {
		l.doc.Add(at+".ipp", strictyaml.DidYouMean(r.IPP, ippKeywords), "%q is not a valid reason of a job's state in IPP",
			r.IPP)
	}
	def.Text, def.Remedy = l.texts(at+".text", r.Text), l.texts(at+".remedy", r.Remedy)
	l.def.Rules = append(l.def.Rules, def)
}

// point is that of the rule at a path, or empty when the rule has none.
func (l *loader) point(at string, p policy.Point) policy.Point {
	switch p {
	case policy.Arrival, policy.Release:
		return p
	case "":
		l.doc.Add(at+".at", "write at: arrival or at: release", "the rule does not say at which point it applies")
	default:
		l.doc.Add(at+".at", strictyaml.DidYouMean(string(p), []string{string(policy.Arrival), string(policy.Release)}),
			"%q is not a valid point", p)
	}
	return ""
}

func (l *loader) verdict(at string, point policy.Point, v policy.Verdict) {
	known := verdicts[point]
	switch {
	case slices.Contains(known, string(v)):
	case v == "":
		l.doc.Add(at+".verdict", "one of "+strings.Join(known, ", "), "the rule has no verdict")
	case point == "":
		l.doc.Add(at+".verdict", strictyaml.DidYouMean(string(v), known), "%q is not a valid verdict", v)
	default:
		l.doc.Add(at+".verdict", strictyaml.DidYouMean(string(v), known), "%q is not a valid verdict at %s", v, point)
	}
}

func (l *loader) need(at, key, value string, form *regexp.Regexp, hint string) {
	switch {
	case value == "":
		l.doc.Add(at+"."+key, hint, "the rule has no %s", key)
	case !form.MatchString(value):
		l.doc.Add(at+"."+key, hint, "%q is not a valid %s", value, key)
	}
}

func (l *loader) reason(at, code string) {
	l.need(at, "reason", code, reasonCode, "a stable code as color.too-large: lower-case words with dots and dashes")
	if _, taken := reasons.Of(code); taken {
		l.doc.Add(at+".reason", "choose another code", "%s is a reason code of the program itself", code)
	}
	if len(code) > maxReason {
		l.doc.Add(at+".reason", "shorten it: it is a metric label", "the code is longer than %d characters", maxReason)
	}
}

func (l *loader) needText(at, key string, value localized, hint string) {
	if value.empty() {
		l.doc.Add(at+"."+key, hint, "the rule refuses a job and has no %s", key)
	}
}
