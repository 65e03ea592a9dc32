// Package policyfile reads policy files: YAML that people write, with tests in it. What
// loads, decides: everything that is wrong is told at once, each with its place in the
// file and what to do, and so is a test that fails.
package policyfile

import (
	"fmt"
	"reflect"
	"slices"

	"pullprint/policy"
	"pullprint/policy/quota"
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
	Merge        quota.Merge     `yaml:"merge"`
	Unmatched    string          `yaml:"unmatched"`
	Prices       pricesFile      `yaml:"prices"`
	Reserve      policy.Point    `yaml:"reserve"`
	Refunds      refundsFile     `yaml:"refunds"`
	Rules        []ruleFile      `yaml:"rules"`
	Shadow       bool            `yaml:"shadow"`
	Tests        []testFile      `yaml:"tests"`
}

// defaultsFile says what happens to a job at arrival that no rule is about.
type defaultsFile struct {
	Pull   policy.Verdict `yaml:"pull"`
	Direct policy.Verdict `yaml:"direct"`
}

// ruleFile is one rule as it is written.
type ruleFile struct {
	Name    string         `yaml:"name"`
	At      policy.Point   `yaml:"at"`
	When    string         `yaml:"when"`
	Verdict policy.Verdict `yaml:"verdict"`
	Reason  string         `yaml:"reason"`
	Text    localized      `yaml:"text"`
	Remedy  localized      `yaml:"remedy"`
	// IPP is the keyword for job-state-reasons that comes nearest to the reason.
	IPP string `yaml:"ipp"`
	// Set rewrites the job's settings and goes on; such a rule has no verdict.
	Set *policy.Settings `yaml:"set"`
}

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
// character. A test that fails is a problem like any other. A file that says nothing is
// an error: it was cut off.
func Load(name string, src []byte) (*policy.Policy, error) {
	l, err := read(name, src)
	if err != nil {
		return nil, err
	}
	if reflect.ValueOf(l.file).IsZero() {
		return nil, strictyaml.Problems{{
			File: name, Message: "the file is empty: it has neither rules nor settings",
			Hint: "write the policy again, as it may have been cut off; write `rules: []` to have no rules",
		}}
	}
	for i, t := range l.run() {
		if t.Failure != "" {
			l.doc.Add(fmt.Sprintf("tests[%d].expect", i), "correct the rule or the test", "test %q fails: %s", t.Name, t.Failure)
		}
	}
	if err := l.doc.Err(); err != nil {
		return nil, err
	}
	if l.file.Shadow {
		// The tests are of the rules; only now they stop to decide.
		l.def.Shadow = true
		l.policy, _ = policy.New(l.def)
	}
	return l.policy, nil
}

// read reads and checks a file, and compiles its policy, without running its tests.
func read(name string, src []byte) (*loader, error) {
	if len(src) > maxFile {
		return nil, strictyaml.Problems{{File: name, Message: fmt.Sprintf("the file is larger than %d bytes", maxFile)}}
	}
	l := &loader{def: policy.Definition{Source: src}}
	f := &l.file
	l.doc = strictyaml.Decode(name, src, f, nil)
	l.defaults(f.Default)
	l.general(f)
	l.prices(f.Prices)
	l.allowances(f)
	l.rules(f.Rules)
	l.tests(f.Tests)
	p, faults := policy.New(l.def)
	for _, fault := range faults {
		l.fault(fault)
	}
	l.policy = p
	return l, l.doc.Err()
}

// loader makes a definition of a file and gathers what is wrong with the file.
type loader struct {
	file   file
	doc    *strictyaml.Document
	def    policy.Definition
	policy *policy.Policy
}

// fault notes what is wrong within an expression or a text.
func (l *loader) fault(f policy.Fault) {
	if f.Line == 0 {
		l.doc.Add(f.Path, f.Hint, "%s", f.Message)
		return
	}
	f = inWords(f)
	l.doc.AddWithin(f.Path, f.Line, f.Column, f.Message, f.Hint)
}

func (l *loader) defaults(f defaultsFile) {
	l.refuse(f.Pull != "" && f.Pull != policy.Hold, "default.pull", "write hold; a rule can abort",
		"a pull queue can only hold by default")
	l.refuse(f.Direct != "" && f.Direct != policy.Hold && f.Direct != policy.Complete, "default.direct",
		"write complete, or hold", "a direct queue can only complete or hold by default")
	l.def.Direct = f.Direct
}

// refuse notes a problem with the value at a path, if it is bad.
func (l *loader) refuse(bad bool, path, hint, format string, args ...any) {
	if bad {
		l.doc.Add(path, hint, format, args...)
	}
}

// oneOf reports whether a word of the file is one that can stand there, and says so if not. It
// may be absent. what is what it should be.
func oneOf[W ~string](l *loader, path string, word W, what string, known ...W) bool {
	if word == "" || slices.Contains(known, word) {
		return true
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	l.doc.Add(path, strictyaml.DidYouMean(string(word), names), "%q is not a valid %s", word, what)
	return false
}

// unique reports the name of an entry that another has already. seen are the lines of those
// before it.
func (l *loader) unique(at, what, name string, seen map[string]int) {
	first, twice := seen[name]
	if !twice {
		seen[name] = l.doc.At(at)
	}
	l.refuse(twice && name != "", at+".name", fmt.Sprintf("the other is in line %d", first), "two %s are called %q",
		what, name)
}
