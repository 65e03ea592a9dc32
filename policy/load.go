package policy

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"

	"pullprint/policy/strictyaml"
)

// policyFile is the form of a policy file.
type policyFile struct {
	Default struct {
		Pull   Verdict `yaml:"pull"`
		Direct Verdict `yaml:"direct"`
	} `yaml:"default"`
	Rules []ruleFile `yaml:"rules"`
}

// ruleFile is one rule as it is written.
type ruleFile struct {
	Name    string  `yaml:"name"`
	At      Point   `yaml:"at"`
	When    string  `yaml:"when"`
	Verdict Verdict `yaml:"verdict"`
	Reason  string  `yaml:"reason"`
	Text    string  `yaml:"text"`
	Remedy  string  `yaml:"remedy"`
}

// verdicts are what a rule may say at each point.
var verdicts = map[Point][]string{
	Arrival: {string(Hold), string(Complete), string(Abort)},
	Release: {string(Redirect), string(Keep), string(Abort)},
}

var (
	ruleName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)
	reasonCode = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)
)

// The bounds of what an owner reads, in characters.
const (
	maxReason = 64
	maxText   = 500
)

// Load reads a policy file. The error is a strictyaml.Problems: everything that
// is wrong, each with file, line, column and what to do.
func Load(name string, src []byte) (*Policy, error) {
	var f policyFile
	l := loader{doc: strictyaml.Decode(name, src, &f, nil), policy: &Policy{hash: hashOf(src), pull: Hold, direct: Complete}}
	l.defaults(f)
	names := map[string]int{}
	for i, r := range f.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		if j, twice := names[r.Name]; twice && r.Name != "" {
			l.doc.Add(at+".name", fmt.Sprintf("the other is in line %d", l.doc.At(fmt.Sprintf("rules[%d]", j))), "two rules are called %q", r.Name)
		} else {
			names[r.Name] = i
		}
		l.rule(at, r)
	}
	if err := l.doc.Err(); err != nil {
		return nil, err
	}
	return l.policy, nil
}

type loader struct {
	doc    *strictyaml.Document
	policy *Policy
}

func (l *loader) defaults(f policyFile) {
	switch f.Default.Pull {
	case "", Hold:
	default:
		l.doc.Add("default.pull", "write hold; a rule can abort", "a pull queue can only hold by default")
	}
	switch f.Default.Direct {
	case "":
	case Hold, Complete:
		l.policy.direct = f.Default.Direct
	default:
		l.doc.Add("default.direct", "write complete, or hold", "a direct queue can only complete or hold by default")
	}
}

func (l *loader) rule(at string, r ruleFile) {
	l.need(at, "name", r.Name, ruleName, "a short name in lower-case letters, digits and dashes: it is a metric label")
	known, ok := verdicts[r.At]
	switch {
	case r.At == "":
		l.doc.Add(at+".at", "write at: arrival or at: release", "the rule does not say at which point it applies")
	case !ok:
		l.doc.Add(at+".at", strictyaml.DidYouMean(string(r.At), []string{"arrival", "release"}), "%q is no point", r.At)
	}
	if ok {
		l.verdict(at, r.Verdict, known)
	}
	out := rule{name: r.Name, at: r.At, verdict: r.Verdict, reason: r.Reason}
	refuses := r.Verdict == Abort || r.Verdict == Keep
	if refuses || r.Reason != "" {
		l.reason(at, r.Reason)
	}
	if refuses {
		l.say(at, "remedy", r.Remedy, "say what the owner can do next")
	}
	if r.Verdict == Abort {
		l.say(at, "text", r.Text, "say why, in a sentence for the owner")
	}
	if r.Verdict == Keep && r.Text == "" {
		r.Text = "This job can't be released now."
	}
	out.when = l.expression(at+".when", r.When)
	out.text = l.template(at+".text", r.Text)
	out.remedy = l.template(at+".remedy", r.Remedy)
	l.policy.rules = append(l.policy.rules, out)
}

func (l *loader) verdict(at string, v Verdict, known []string) {
	for _, k := range known {
		if string(v) == k {
			return
		}
	}
	if v == "" {
		l.doc.Add(at+".verdict", "one of "+strings.Join(known, ", "), "the rule has no verdict")
		return
	}
	l.doc.Add(at+".verdict", strictyaml.DidYouMean(string(v), known), "%q is no verdict at this point", v)
}

func (l *loader) need(at, key, value string, form *regexp.Regexp, hint string) {
	switch {
	case value == "":
		l.doc.Add(at+"."+key, hint, "the rule has no %s", key)
	case !form.MatchString(value):
		l.doc.Add(at+"."+key, hint, "%q is no %s", value, key)
	}
}

func (l *loader) reason(at, code string) {
	l.need(at, "reason", code, reasonCode, "a stable code as color.too-large: lower-case words with dots and dashes")
	if _, taken := own[code]; taken {
		l.doc.Add(at+".reason", "choose another code", "%s is a reason code of the program itself", code)
	}
	if len(code) > maxReason {
		l.doc.Add(at+".reason", "", "the code is longer than %d characters", maxReason)
	}
}

func (l *loader) say(at, key, value, hint string) {
	if strings.TrimSpace(value) == "" {
		l.doc.Add(at+"."+key, hint, "the rule refuses a job and has no %s", key)
	}
}

func (l *loader) expression(path, text string) program {
	if strings.TrimSpace(text) == "" {
		l.doc.Add(path, "write when: 'true' for always", "the rule has no when")
		return program{}
	}
	p, wrong := compile(text, cel.BoolType)
	l.wrong(path, wrong)
	l.policy.needsGroups = l.policy.needsGroups || p.uses
	return p
}

func (l *loader) template(path, text string) template {
	if utf8.RuneCountInString(text) > maxText {
		l.doc.Add(path, "", "longer than %d characters", maxText)
	}
	t, wrong := compileTemplate(text)
	l.wrong(path, wrong)
	for _, p := range t.parts {
		l.policy.needsGroups = l.policy.needsGroups || (p.expr != nil && p.expr.uses)
	}
	return t
}

var (
	undefinedField = regexp.MustCompile(`undefined field '([^']*)'`)
	undeclared     = regexp.MustCompile(`undeclared reference to '([^']*)'`)
)

// wrong adds the problems of an expression, with the nearest name for one that
// does not exist.
func (l *loader) wrong(path string, places []place) {
	for _, p := range places {
		message, hint := strings.ReplaceAll(p.message, "\n", " "), ""
		message = strings.TrimSuffix(message, " (in container '')")
		if m := undefinedField.FindStringSubmatch(message); m != nil {
			hint = strictyaml.DidYouMean(m[1], fields())
		} else if m := undeclared.FindStringSubmatch(message); m != nil {
			hint = strictyaml.DidYouMean(m[1], []string{"job", "user", "queue", "now"})
		}
		l.doc.AddInside(path, p.line, p.column, hint, "%s", message)
	}
}

// fields are the names of all fields a rule can see.
func fields() []string {
	var names []string
	for _, t := range []reflect.Type{reflect.TypeFor[jobVars](), reflect.TypeFor[userVars](), reflect.TypeFor[queueVars]()} {
		for i := range t.NumField() {
			names = append(names, t.Field(i).Tag.Get("cel"))
		}
	}
	return names
}
