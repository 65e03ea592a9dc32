package policyfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/strictyaml"
)

// testFile is one test as it is written: a request, and what must become of it.
type testFile struct {
	Name   string       `yaml:"name"`
	At     policy.Point `yaml:"at"`
	Job    testJob      `yaml:"job"`
	User   testUser     `yaml:"user"`
	Queue  testQueue    `yaml:"queue"`
	Device string       `yaml:"device"`
	Now    time.Time    `yaml:"now"`
	// Account is what is on the accounts that pay; without it they are untouched.
	Account *testAccount `yaml:"account"`
	// Unknown is what is out of reach.
	Unknown []policy.Dependency `yaml:"unknown"`
	Expect  testExpect          `yaml:"expect"`
}

type testJob struct {
	Queue       string    `yaml:"queue"`
	Copies      int       `yaml:"copies"`
	Pages       *int      `yaml:"pages"`
	PerSheet    int       `yaml:"pagesPerSheet"`
	Color       bool      `yaml:"color"`
	Duplex      bool      `yaml:"duplex"`
	MediaSize   string    `yaml:"mediaSize"`
	Size        int64     `yaml:"size"`
	ContentType string    `yaml:"contentType"`
	Created     time.Time `yaml:"created"`
}

type testUser struct {
	ID     string   `yaml:"id"`
	UPN    string   `yaml:"upn"`
	Groups []string `yaml:"groups"`
	// Language is what the owner reads.
	Language string `yaml:"language"`
}

type testAccount struct {
	Spent    decimal `yaml:"spent"`
	Reserved decimal `yaml:"reserved"`
	Left     decimal `yaml:"left"`
}

type testQueue struct {
	Name string `yaml:"name"`
	Mode string `yaml:"mode"`
}

type testExpect struct {
	Verdict policy.Verdict `yaml:"verdict"`
	Reason  string         `yaml:"reason"`
	Rule    string         `yaml:"rule"`
	// Cost, when given, is what the job must cost.
	Cost decimal `yaml:"cost"`
	// Text, when given, must be a part of what the owner is told.
	Text string `yaml:"text"`
	// Set, when given, is all that rules must have rewritten.
	Set *policy.Settings `yaml:"set"`
}

// The modes of a queue.
const (
	modePull   = "pull"
	modeDirect = "direct"
)

// maxTests bounds the tests of a file: they run at every load.
const maxTests = 1000

// testNow is the time of a test that names none: a Monday, at noon.
var testNow = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// Report is what the tests of a policy file say.
type Report struct {
	// File and Hash are of the policy.
	File    string   `json:"file"`
	Hash    string   `json:"hash"`
	Results []Result `json:"results"`
	// Uncovered are the rules that decided no test.
	Uncovered []Uncovered `json:"uncovered"`
}

// Result is one test.
type Result struct {
	Name string `json:"name"`
	// Line is where it stands in the file.
	Line int `json:"line"`
	// Failure says what is otherwise than expected; empty when it passed.
	Failure  string          `json:"failure,omitempty"`
	Decision policy.Decision `json:"decision"`
}

// Uncovered is a rule that no test is about.
type Uncovered struct {
	Rule string `json:"rule"`
	Line int    `json:"line"`
}

// Failed counts the tests that failed.
func (r *Report) Failed() int {
	n := 0
	for _, t := range r.Results {
		if t.Failure != "" {
			n++
		}
	}
	return n
}

// Test runs the tests of a policy file. The error is that of Load, but for
// failing tests: they are in the report.
func Test(name string, src []byte) (*Report, error) {
	l, err := read(name, src)
	if err != nil {
		return nil, err
	}
	r := &Report{File: name, Hash: l.policy.Hash(), Results: l.run(), Uncovered: []Uncovered{}}
	for _, rule := range l.def.Rules {
		if !slices.ContainsFunc(r.Results, func(t Result) bool {
			return t.Decision.Rule == rule.Name || slices.Contains(strings.Split(t.Decision.SetBy, ", "), rule.Name)
		}) {
			r.Uncovered = append(r.Uncovered, Uncovered{rule.Name, rule.Line})
		}
	}
	return r, nil
}

// run runs the tests of a file that was read well.
func (l *loader) run() []Result {
	results := make([]Result, len(l.file.Tests))
	for i, t := range l.file.Tests {
		d := l.policy.Decide(t.request(l.policy))
		results[i] = Result{
			Name: t.Name, Line: l.doc.At(fmt.Sprintf("tests[%d]", i)), Decision: d, Failure: t.Expect.mismatch(d),
		}
	}
	return results
}

func (t testFile) request(p *policy.Policy) policy.Request {
	now, j := cmp.Or(t.Now, testNow), t.Job
	req := policy.Request{
		Point: cmp.Or(t.At, policy.Arrival), Now: now, Device: t.Device,
		Queue: policy.Queue{Name: cmp.Or(j.Queue, t.Queue.Name), Mode: cmp.Or(t.Queue.Mode, modePull)},
		User:  policy.User{ID: t.User.ID, UPN: t.User.UPN, Groups: t.User.Groups, Language: t.User.Language},
		Job: policy.Job{
			Copies: max(j.Copies, 1), Color: j.Color, Duplex: j.Duplex, Pages: pagesOrOne(j.Pages), PagesPerSheet: j.PerSheet,
			MediaSize: j.MediaSize, ContentType: j.ContentType, Size: j.Size, Created: cmp.Or(j.Created, now),
		},
	}
	if p.HasAllowances() && req.User.ID == "" {
		req.User.ID = testUserID
	}
	req.Missing = t.Unknown
	req.Budget = p.Budget(req)
	for _, c := range req.Budget.Claims {
		req.Budget.Balances = append(req.Budget.Balances, t.Account.of(c, now))
	}
	return req
}

// testUserID is the owner in a test that names none, in a policy with allowances.
const testUserID = "00000000-0000-4000-8000-000000000001"

// pagesOrOne is how many pages a test has.
func pagesOrOne(pages *int) int {
	if pages == nil {
		return 1
	}
	return *pages
}

// of is the balance of a claim as the test has it.
func (a *testAccount) of(c quota.Claim, now time.Time) quota.Balance {
	b := c.Untouched(now)
	switch {
	case a == nil:
	case a.Left.given:
		b.Reserved, b.Left = a.Reserved.Amount, a.Left.Amount
		b.Spent = b.Limit - b.Left - b.Reserved
	default:
		b.Spent, b.Reserved = a.Spent.Amount, a.Reserved.Amount
		b.Left = b.Limit - b.Spent - b.Reserved
	}
	return b
}

// mismatch says what of a decision is otherwise than expected.
func (e testExpect) mismatch(d policy.Decision) string {
	var wrong []string
	for _, c := range [][3]string{
		{"verdict", string(e.Verdict), string(d.Verdict)}, {"reason", e.Reason, d.Reason}, {"rule", e.Rule, d.Rule},
	} {
		if c[1] != "" && c[1] != c[2] {
			wrong = append(wrong, fmt.Sprintf("%s is %s, not %s", c[0], cmp.Or(c[2], "none"), c[1]))
		}
	}
	if e.Cost.given && e.Cost.Amount != d.Cost {
		wrong = append(wrong, fmt.Sprintf("cost is %s, not %s", d.Cost, e.Cost))
	}
	if !strings.Contains(d.Text+" "+d.Remedy, e.Text) {
		wrong = append(wrong, fmt.Sprintf("the owner is told %q", d.Text+" "+d.Remedy))
	}
	if e.Set != nil && *e.Set != d.Set {
		wrong = append(wrong, fmt.Sprintf("set is %s, not %s", d.Set, *e.Set))
	}
	if len(wrong) > 0 && d.Rule != "" && e.Rule == "" {
		wrong = append(wrong, "rule "+d.Rule+" decided")
	}
	if len(wrong) > 0 && d.Err != "" {
		wrong = append(wrong, d.Err)
	}
	return strings.Join(wrong, "; ")
}

// tests checks the tests as they are written.
func (l *loader) tests(tests []testFile) {
	if len(tests) > maxTests {
		l.doc.Add("tests", "split the file", "more than %d tests", maxTests)
		return
	}
	seen := map[string]int{}
	for i, t := range tests {
		at := fmt.Sprintf("tests[%d]", i)
		l.refuse(t.Name == "", at+".name", "say in a few words what it is about", "the test has no name")
		l.unique(at, "tests", t.Name, seen)
		l.test(at, t)
	}
}

func (l *loader) test(at string, t testFile) {
	point, expected := cmp.Or(t.At, policy.Arrival), t.Expect.Verdict
	if oneOf(l, at+".at", point, "point", points...) {
		list, what := verdictsAt(point, " or ")
		l.refuse(expected == "", at+".expect", "write expect: {verdict: "+list+"}", "the test expects nothing")
		oneOf(l, at+".expect.verdict", expected, what, verdicts[point]...)
	}
	l.refuse(t.Device != "" && point != policy.Release, at+".device", "leave it out, or write at: release",
		"a device at %s", point)
	l.refuse(t.Job.Copies < 0, at+".job.copies", "write 1 or more, or leave it out for 1", "job.copies is negative")
	_, err := (&policy.Job{Pages: pagesOrOne(t.Job.Pages)}).Paper()
	l.refuse(err != nil, at+".job.pages", "write how many pages the document has, or leave it out for 1",
		"job.pages is out of range")
	l.perSheet(at+".job.pagesPerSheet", t.Job.PerSheet, "job.pagesPerSheet")
	for i, d := range t.Unknown {
		oneOf(l, fmt.Sprintf("%s.unknown[%d]", at, i), d, "value of unknown", policy.Directory, policy.Ledger,
			policy.Document)
	}
	l.refuse(t.Job.Size < 0, at+".job.size", "write bytes, or leave it out for 0", "job.size is negative")
	oneOf(l, at+".queue.mode", t.Queue.Mode, "mode of a queue", modePull, modeDirect)
	l.refuse(t.Job.Queue != "" && t.Queue.Name != "" && t.Job.Queue != t.Queue.Name, at+".job.queue",
		"leave one of them out", "job.queue and queue.name differ")
	rules := make([]string, len(l.def.Rules))
	for i := range l.def.Rules {
		rules[i] = l.def.Rules[i].Name
	}
	if t.Expect.Rule != "" && !slices.Contains(rules, t.Expect.Rule) {
		l.doc.Add(at+".expect.rule", strictyaml.DidYouMean(t.Expect.Rule, rules), "there is no rule %q", t.Expect.Rule)
	}
}
