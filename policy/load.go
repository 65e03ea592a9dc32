package policy

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"

	"pullprint/policy/strictyaml"
)

// file is the form of a policy file. A key that it doesn't have is an error.
type file struct {
	Default      defaultsFile    `yaml:"default"`
	Zone         string          `yaml:"zone"`
	Language     string          `yaml:"language"`
	Pages        string          `yaml:"pages"`
	BytesPerPage int64           `yaml:"bytes_per_page"`
	Unknown      unknownFile     `yaml:"unknown"`
	Allowances   []allowanceFile `yaml:"allowances"`
	Merge        string          `yaml:"merge"`
	Unmatched    string          `yaml:"unmatched"`
	Prices       pricesFile      `yaml:"prices"`
	Reserve      string          `yaml:"reserve"`
	Refunds      refundsFile     `yaml:"refunds"`
	Rules        []ruleFile      `yaml:"rules"`
	Shadow       bool            `yaml:"shadow"`
	Tests        []testFile      `yaml:"tests"`
}

// defaultsFile says what happens to a job at arrival that no rule is about.
type defaultsFile struct {
	Pull   Verdict `yaml:"pull"`
	Direct Verdict `yaml:"direct"`
}

// ruleFile is one rule as it is written.
type ruleFile struct {
	Name    string  `yaml:"name"`
	At      Point   `yaml:"at"`
	When    string  `yaml:"when"`
	Verdict Verdict `yaml:"verdict"`
	Reason  string  `yaml:"reason"`
	Text    words   `yaml:"text"`
	Remedy  words   `yaml:"remedy"`
	// IPP is the keyword for job-state-reasons that comes nearest to the reason.
	IPP string `yaml:"ipp"`
	// Set rewrites the job's settings and goes on; such a rule has no verdict.
	Set *Settings `yaml:"set"`
}

// verdicts are what a rule may say at each point; of a rule that has no such
// point, at any.
var verdicts = map[Point][]string{
	Arrival: {string(Hold), string(Complete), string(Abort)},
	Release: {string(Redirect), string(Keep), string(Abort)},
	"":      {string(Hold), string(Complete), string(Redirect), string(Keep), string(Abort)},
}

var (
	ruleName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)
	reasonCode = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)
)

// The bounds of a file.
const (
	maxFile   = 1 << 20 // bytes
	maxRules  = 1000
	maxReason = 64 // characters
)

// keptText is what an owner reads of a job that a rule keeps without a text.
const keptText = "This job can't be released now."

// Load reads a policy file and runs its tests. name is what problems call it.
// The error is a strictyaml.Problems: everything that is wrong, each with line,
// column and what to do; those in expressions and templates point at the
// character. A test that fails is a problem like any other.
func Load(name string, src []byte) (*Policy, error) {
	l, f := load(name, src)
	if l == nil {
		return nil, tooLarge(name)
	}
	if err := l.err(); err != nil {
		return nil, err
	}
	for i, t := range l.run(f.Tests) {
		if t.Failure != "" {
			l.doc.Add(fmt.Sprintf("tests[%d].expect", i), "correct the rule or the test", "test %q fails: %s", t.Name, t.Failure)
		}
	}
	if err := l.err(); err != nil {
		return nil, err
	}
	return l.policy, nil
}

// LoadFile is Load of a file that somebody has written to be in force. One that says
// nothing is an error: it was cut off.
func LoadFile(name string, src []byte) (*Policy, error) {
	p, err := Load(name, src)
	if err != nil {
		return nil, err
	}
	if _, f := load(name, src); reflect.ValueOf(*f).IsZero() {
		return nil, strictyaml.Problems{{
			File: name, Message: "the file is empty: it has neither rules nor settings",
			Hint: "write the policy again, as it may have been cut off; write `rules: []` to have no rules",
		}}
	}
	return p, nil
}

func tooLarge(name string) error {
	return strictyaml.Problems{{File: name, Message: fmt.Sprintf("the file is larger than %d bytes", maxFile)}}
}

// load reads and checks a file without running its tests; nil when it is too
// large to be looked at.
func load(name string, src []byte) (*loader, *file) {
	if len(src) > maxFile {
		return nil, nil
	}
	f := new(file)
	l := &loader{name: name, src: strictyaml.Text(src), policy: blank(src)}
	l.doc = strictyaml.Decode(name, l.src, f, nil)
	l.defaults(f.Default)
	l.general(f)
	l.prices(f.Prices)
	l.allowances(f)
	l.rules(f.Rules)
	l.policy.shadow = f.Shadow
	l.tests(f.Tests)
	return l, f
}

// loader makes a policy of a file and gathers what is wrong with it.
type loader struct {
	name   string
	src    []byte // as strictyaml reads it
	doc    *strictyaml.Document
	policy *Policy
	places *places
	inside strictyaml.Problems // those within expressions
}

func (l *loader) err() error {
	all := l.inside
	if ps, ok := l.doc.Err().(strictyaml.Problems); ok { //nolint:errorlint // it is never wrapped
		all = append(all, ps...)
	}
	return all.Err()
}

func (l *loader) defaults(f defaultsFile) {
	switch f.Pull {
	case "", Hold:
	default:
		l.doc.Add("default.pull", "write hold; a rule can abort", "a pull queue can only hold by default")
	}
	switch f.Direct {
	case "":
	case Hold, Complete:
		l.policy.direct = f.Direct
	default:
		l.doc.Add("default.direct", "write complete, or hold", "a direct queue can only complete or hold by default")
	}
}

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
	l.need(at, "name", r.Name, ruleName, "a short name in lower-case letters, digits and dashes: it is a metric label")
	point := l.point(at, r.At)
	if r.Set != nil {
		l.settings(at, r)
		l.policy.rules = append(l.policy.rules, rule{
			name: r.Name, line: l.doc.At(at), at: r.At, source: r.When, when: l.expression(at+".when", r.When), set: *r.Set,
			sets: true,
		})
		return
	}
	l.verdict(at, point, r.Verdict)
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
	if r.Verdict == Keep && len(r.Text) == 0 {
		r.Text = words{anyLanguage: keptText}
	}
	if r.IPP != "" && !slices.Contains(ippKeywords, r.IPP) {
		l.doc.Add(at+".ipp", strictyaml.DidYouMean(r.IPP, ippKeywords), "%q is not a valid reason of a job's state in IPP",
			r.IPP)
	}
	l.policy.rules = append(l.policy.rules, rule{
		name: r.Name, line: l.doc.At(at), at: r.At, source: r.When, verdict: r.Verdict, reason: r.Reason,
		when: l.expression(at+".when", r.When),
		text: l.spoken(at+".text", r.Text), remedy: l.spoken(at+".remedy", r.Remedy), ipp: r.IPP,
	})
}

// point is that of the rule at a path, or empty when the rule has none.
func (l *loader) point(at string, p Point) Point {
	switch p {
	case Arrival, Release:
		return p
	case "":
		l.doc.Add(at+".at", "write at: arrival or at: release", "the rule does not say at which point it applies")
	default:
		l.doc.Add(at+".at", strictyaml.DidYouMean(string(p), []string{string(Arrival), string(Release)}),
			"%q is not a valid point", p)
	}
	return ""
}

func (l *loader) verdict(at string, point Point, v Verdict) {
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
	if _, taken := own[code]; taken {
		l.doc.Add(at+".reason", "choose another code", "%s is a reason code of the program itself", code)
	}
	if len(code) > maxReason {
		l.doc.Add(at+".reason", "", "the code is longer than %d characters", maxReason)
	}
}

func (l *loader) say(at, key string, value words, hint string) {
	if value.empty() {
		l.doc.Add(at+"."+key, hint, "the rule refuses a job and has no %s", key)
	}
}

func (l *loader) expression(path, text string) expression {
	switch {
	case strings.TrimSpace(text) == "":
		l.doc.Add(path, "write when: 'true' for always", "there is no when")
		return expression{}
	case utf8.RuneCountInString(text) > maxExpression:
		l.doc.Add(path, "", "longer than %d characters", maxExpression)
		return expression{}
	}
	x, faults := compile(text, "true or false", cel.BoolType)
	l.faults(path, faults)
	return x
}

func (l *loader) template(path, text string) template {
	if utf8.RuneCountInString(text) > maxText {
		l.doc.Add(path, "", "longer than %d characters", maxText)
		return template{}
	}
	t, faults := compileTemplate(text)
	l.faults(path, faults)
	return t
}

func (l *loader) faults(path string, faults []fault) {
	for _, f := range faults {
		if l.places == nil {
			l.places = newPlaces(l.name, l.src)
		}
		if p, ok := l.places.problem(path, f); ok {
			l.inside = append(l.inside, p)
		} else {
			l.doc.Add(path, f.hint, "%s", f.message)
		}
	}
}
