// Package policy decides what happens to a job. It is pure: Decide looks at a
// request and answers; it does no I/O, reads no clock and starts nothing. The
// rules are CEL expressions in a YAML file that is checked whole when it is
// loaded: a policy that was loaded never fails to decide.
package policy

import (
	"fmt"
	"strings"
	"time"

	"pullprint/policy/quota"
	"pullprint/policy/reasons"
)

// Point is where in a job's life a decision is asked for.
type Point string

// The points.
const (
	// Arrival is when the job has come to its queue.
	Arrival Point = "arrival"
	// Release is when its owner stands at a device.
	Release Point = "release"
)

// Verdict is what is to be done with the job.
type Verdict string

// The verdicts: the first three at arrival, redirect, keep and abort at release.
const (
	Hold     Verdict = "hold"
	Complete Verdict = "complete"
	Abort    Verdict = "abort"
	Redirect Verdict = "redirect"
	// Keep leaves a held job held.
	Keep Verdict = "keep"
)

// The modes of a queue, as Queue.Mode has them.
const (
	modePull   = "pull"
	modeDirect = "direct"
)

// Job is what a rule can see of a job.
type Job struct {
	Copies int
	// Color is true for color and auto: auto may print in colour.
	Color bool
	// Duplex is true for both two-sided modes.
	Duplex bool
	// OneSided is true when the printer prints on one side only, whatever the settings say.
	OneSided bool
	// Pages is how many pages its documents have, counted or estimated. It is
	// nothing when Document is in Missing.
	Pages int
	// PagesPerSheet is how many pages go on a side; 0 is one.
	PagesPerSheet int
	// Ranges are the pages to print; none is all.
	Ranges      []PageRange
	MediaSize   string
	ContentType string
	// Size is that of all documents, in bytes.
	Size    int64
	Created time.Time
}

// User is what a rule can see of the job's owner.
type User struct {
	// ID is the Entra object id, empty when Graph named no owner.
	ID  string
	UPN string
	// Groups are the names and ids of the groups the owner is in. They are
	// needed only if Needs says so.
	Groups []string
	// Language is the one the owner reads, as de-CH; empty when that is not known.
	Language string
}

// Queue is what a rule can see of the queue.
type Queue struct {
	Name string
	// Mode is pull or direct.
	Mode string
}

// Request is one question.
type Request struct {
	Point Point
	Job   Job
	User  User
	Queue Queue
	// Device is where the owner stands, by its configured id; empty at arrival.
	Device string
	Now    time.Time
	// Missing is what could not be found out of what the policy needs.
	Missing []Dependency
	// Budget is who pays: what Policy.Budget says of the request, with balances.
	Budget Budget

	zone *time.Location // of the policy
}

// Decision is the answer.
type Decision struct {
	Point   Point   `json:"point"`
	Verdict Verdict `json:"verdict"`
	// Reason is a stable code; always set for abort and keep.
	Reason string `json:"reason,omitempty"`
	// Rule is the name of the rule that decided, empty for the default.
	Rule string `json:"rule,omitempty"`
	// Text and Remedy are for the owner: why, and what to do next.
	Text   string `json:"text,omitempty"`
	Remedy string `json:"remedy,omitempty"`
	// PolicyHash names the policy that decided.
	PolicyHash string `json:"policy"`
	// Err says which expression failed, for the administrator; it quotes
	// nothing of the job.
	Err string `json:"error,omitempty"`
	// Set is what rules rewrote, SetBy their names; only a job that goes on to
	// print, now or later, is rewritten.
	Set   Settings `json:"set,omitzero"`
	SetBy string   `json:"set_by,omitempty"`
	// IPP is the keyword for job-state-reasons that comes nearest to the reason;
	// empty when the job prints.
	IPP string `json:"ipp,omitempty"`
	// Unknown is what was needed and out of reach, with what was done for want of
	// it.
	Unknown []Unknown `json:"unknown,omitempty"`
	// Cost is what the job costs those in Claims; zero without allowances.
	Cost   quota.Amount  `json:"cost,omitzero"`
	Claims []quota.Claim `json:"claims,omitempty"`
	// Variant is the least change of a job refused for its cost with which it
	// would be paid for.
	Variant Settings `json:"variant,omitzero"`
	// Shadow is what the rules decided when the policy is in shadow and they
	// decided otherwise; the rest is the default then.
	Shadow *Decision `json:"shadow,omitempty"`
}

// Sentence is what the owner is told when the job is aborted: text, remedy and
// code. Graph takes it as the reason of the abort.
func (d Decision) Sentence() string {
	var parts []string
	for _, s := range []string{d.Text, d.Remedy} {
		if s = strings.TrimSpace(s); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(append(parts, "["+d.Reason+"]"), " ")
}

// Policy is a compiled policy. It is immutable and safe for concurrent use.
type Policy struct {
	def        Definition // with the defaults filled in
	hash       string
	prices     prices
	rules      []rule
	allowances []allowance
	languages  bool // whether texts are in several
}

// Default is the policy without a file: pull queues hold, direct queues complete.
func Default() *Policy {
	p, _ := New(Definition{}) // nothing in it can have a fault
	return p
}

// Hash is a short name of the file's content: the first 12 hexadecimal digits
// of its SHA-256.
func (p *Policy) Hash() string { return p.hash }

// Summary says in a few words what the policy holds.
func (p *Policy) Summary() string {
	at := map[Point]int{}
	for _, r := range p.rules {
		at[r.At]++
	}
	rules := "rules"
	if len(p.rules) == 1 {
		rules = "rule"
	}
	text := fmt.Sprintf("%d %s (%d at arrival, %d at release)", len(p.rules), rules, at[Arrival], at[Release])
	if n := len(p.allowances); n == 1 {
		text += ", 1 allowance"
	} else if n > 1 {
		text += fmt.Sprintf(", %d allowances", n)
	}
	if p.def.Shadow {
		text += " in shadow"
	}
	return text
}

// Decide answers a request. It always answers: the first rule of that point
// whose expression is true decides, or else the default. An expression that
// fails keeps the job where it is with the reason policy.error: a broken rule
// never lets a job print. A policy in shadow answers with the default, and says what
// the rules would have done.
func (p *Policy) Decide(req Request) Decision {
	d := p.decide(req)
	if !p.def.Shadow {
		return d
	}
	live := p.byDefault(req)
	live.IPP = live.ippKeyword("")
	if d.Verdict != live.Verdict || d.Reason != "" || d.Err != "" || d.Set != live.Set {
		live.Shadow = &d
	}
	return live
}

func (p *Policy) decide(req Request) Decision {
	if len(p.rules) == 0 && len(p.allowances) == 0 {
		d := p.byDefault(req)
		d.IPP = d.ippKeyword("")
		return d
	}
	ev := p.evaluate(req)
	defer ev.close()
	return p.trace(ev, nil)
}

func (p *Policy) evaluate(req Request) *evaluation {
	req.zone = p.def.Zone
	return evaluate(req)
}

// trace decides, and tells step of each rule that it tries.
func (p *Policy) trace(ev *evaluation, step func(*rule, bool, error)) Decision {
	d, r := p.rule(ev, step)
	d = p.charge(ev, d)
	keyword := ""
	if r != nil && d.Rule == r.Name {
		keyword = r.IPP
	}
	d.IPP = d.ippKeyword(keyword)
	return d
}

// rule finds the rule that decides, nil for the default, and what it says.
func (p *Policy) rule(ev *evaluation, step func(*rule, bool, error)) (Decision, *rule) {
	at, mode := ev.in.req.Point, ev.in.req.Queue.Mode
	var set Settings
	var setBy []string
	var unknown []Unknown
	for i := range p.rules {
		r := &p.rules[i]
		if r.At != at {
			continue
		}
		yes, err := ev.isTrue(&r.when)
		if step != nil {
			step(r, yes, err)
		}
		if dep := ev.missing(); err != nil && dep != "" {
			d, note := p.unknown(at, r.Name, dep)
			unknown = append(unknown, note)
			if d == nil {
				continue
			}
			d.Unknown = unknown
			return *d, r
		}
		switch {
		case err != nil:
			return p.failed(at, r.Name, "when", err), r
		case !yes:
		case r.Set != nil:
			set, setBy = r.Set.Over(set), append(setBy, r.Name)
			ev.rewrite(*r.Set)
		case r.Verdict == Complete && mode == modePull:
			return p.failed(at, r.Name, "verdict", errCompletePull), r
		default:
			d := rewritten(p.byRule(r, ev, at), set, setBy)
			d.Unknown = unknown
			return d, r
		}
	}
	d := rewritten(p.byDefault(ev.in.req), set, setBy)
	d.Unknown = unknown
	return d, nil
}

// rewritten adds to a decision what rules rewrote, if the job can still print.
func rewritten(d Decision, set Settings, by []string) Decision {
	if d.Verdict == Hold || d.Verdict == Complete || d.Verdict == Redirect {
		d.Set, d.SetBy = set, strings.Join(by, ", ")
	}
	return d
}

// byDefault is the decision when no rule is about the job. What is asked in a
// way that this program doesn't know is held.
func (p *Policy) byDefault(req Request) Decision {
	d := Decision{Point: req.Point, PolicyHash: p.hash, Verdict: Hold}
	switch {
	case req.Point == Release:
		d.Verdict = Redirect
	case req.Queue.Mode == modeDirect:
		d.Verdict = p.def.Direct
	}
	return d
}

// byRule is the decision of a rule that matched, with its texts rendered. A text that can't
// be rendered does not change the verdict: it loses the part that failed, and Err says so.
func (p *Policy) byRule(r *rule, ev *evaluation, at Point) Decision {
	lang := ev.in.req.User.Language
	d := Decision{Point: at, Verdict: r.Verdict, Reason: r.Reason, Rule: r.Name, PolicyHash: p.hash}
	var err error
	if d.Text, err = r.text.in(lang, p.def.Language).render(ev); err != nil {
		d.Err = "text: " + err.Error()
	}
	if d.Remedy, err = r.remedy.in(lang, p.def.Language).render(ev); err != nil && d.Err == "" {
		d.Err = "remedy: " + err.Error()
	}
	return d
}

// failed is the decision when a rule can't be followed: the job stays where it is.
func (p *Policy) failed(at Point, rule, part string, err error) Decision {
	d := Own(reasons.PolicyError)
	d.Point, d.Verdict, d.Rule, d.PolicyHash = at, stayVerdict(at), rule, p.hash
	d.Err = part + ": " + err.Error()
	return d
}
