package evaluate

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"pullprint/connector/decision"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// RequestOf rebuilds the request of a recorded decision from what the record has:
// user.upn is empty, as records have no names, and what was not read for the decision
// is missing. The accounts that pay are left out; see RequestWithBalances.
func RequestOf(p *policy.Policy, d *decision.Decision) policy.Request {
	in := &d.Input
	req := policy.Request{
		Point: policy.Point(d.Point), Device: d.Device, Now: d.At,
		Queue: policy.Queue{Name: d.Queue, Mode: in.Mode},
		User:  policy.User{ID: d.Owner, Groups: in.Groups, Language: in.Language},
		Job: policy.Job{
			Copies: in.Copies, Color: in.Color, Duplex: in.Duplex, OneSided: in.OneSided, PagesPerSheet: in.PagesPerSheet,
			MediaSize: in.MediaSize, ContentType: in.ContentType, Size: in.Size, Created: in.Created,
		},
	}
	for _, r := range in.Ranges {
		req.Job.Ranges = append(req.Job.Ranges, policy.PageRange(r))
	}
	needs := p.Needs(req.Point, req.Queue.Mode)
	lacking := func(dep policy.Dependency) {
		if !slices.Contains(req.Missing, dep) {
			req.Missing = append(req.Missing, dep)
		}
	}
	for _, m := range in.Missing {
		lacking(policy.Dependency(m))
	}
	if needs.Groups && in.Groups == nil {
		lacking(policy.Directory)
	}
	switch pages := in.Pages; {
	case pages != nil && (pages.Unknown == "" || pages.Estimated):
		req.Job.Pages = pages.Count
	case needs.Pages:
		if n, ok := p.Estimate(in.Size); ok {
			req.Job.Pages = n
		} else {
			lacking(policy.Document)
		}
	}
	return req
}

// RequestWithBalances is RequestOf with the accounts that pay and the balances in the
// record; an account that is not in the record is taken to be unused.
func RequestWithBalances(p *policy.Policy, d *decision.Decision) policy.Request {
	req := RequestOf(p, d)
	req.Budget = p.Budget(req)
	for _, c := range req.Budget.Claims {
		b := c.Untouched(d.At)
		for _, a := range d.Input.Balances {
			if a.Key == c.Account.Key() {
				b.Limit, b.Spent, b.Reserved, b.Left = a.Limit, a.Spent, a.Reserved, a.Left
			}
		}
		req.Budget.Balances = append(req.Budget.Balances, b)
	}
	return req
}

// Replay evaluates recorded decisions with another policy. It changes nothing. All accounts
// begin unused and are charged for what the policy lets print.
type Replay struct {
	policy    *policy.Policy
	spent     map[string]quota.Amount // by account and period
	decisions map[string]*decision.Decision
	aborted   map[graph.Ref]bool
	report    Replayed
}

// Replayed is the result of a replay.
type Replayed struct {
	// Decisions is how many were replayed, Same how many had the same verdict.
	Decisions int `json:"decisions"`
	Same      int `json:"same"`
	// Refused are those that were let go on and would be refused now; Released the
	// other way round; Changed those with another verdict of the same kind, or
	// another reason.
	Refused  []Difference `json:"refused"`
	Released []Difference `json:"released"`
	Changed  []Difference `json:"changed"`
	// Undecided are those for which the record lacks what the policy looks at.
	Undecided []Difference `json:"undecided"`
	// Cost is what all that is let print would cost, Before what it was recorded to
	// have cost.
	Cost   quota.Amount `json:"cost"`
	Before quota.Amount `json:"cost_before"`
	// Skipped counts records that no policy decided, as a cancellation, and those that would
	// not be there, as the job would have been aborted before.
	Skipped int `json:"skipped"`
}

// Difference is a decision that would be different.
type Difference struct {
	graph.Ref
	At     time.Time `json:"at"`
	Queue  string    `json:"queue"`
	Point  string    `json:"point"`
	Before Verdict   `json:"before"`
	After  Verdict   `json:"after"`
	// Owner is the Entra object id.
	Owner string       `json:"owner,omitempty"`
	Cost  quota.Amount `json:"cost,omitzero"`
}

// Verdict is a verdict with what led to it.
type Verdict struct {
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
	Rule    string `json:"rule,omitempty"`
}

// NewReplay begins a replay.
func NewReplay(p *policy.Policy) *Replay {
	return &Replay{
		policy: p, spent: map[string]quota.Amount{}, decisions: map[string]*decision.Decision{}, aborted: map[graph.Ref]bool{},
		report: Replayed{Refused: []Difference{}, Released: []Difference{}, Changed: []Difference{}, Undecided: []Difference{}},
	}
}

// ownDecisions are the reasons of decisions that no policy makes.
var ownDecisions = []string{
	reasons.HoldExpired, reasons.OwnerUnknown, reasons.CanceledByOwner, reasons.CanceledByAdmin,
	reasons.DeviceUnavailable, reasons.DeviceUnsuitable, reasons.DeviceNotAllowed, reasons.GraphUnavailable,
	reasons.ReleasePending,
	reasons.SelfTest, reasons.StoreUnavailable,
}

// ByPolicy reports whether a policy made a decision, and not the program by
// itself.
func ByPolicy(d *decision.Decision) bool { return !slices.Contains(ownDecisions, d.Reason) }

// Add takes a decision. The same one twice counts once.
func (r *Replay) Add(d *decision.Decision) { r.decisions[d.ID] = d }

// Run evaluates all decisions that were added, in the order of their time, and returns the
// result.
func (r *Replay) Run() *Replayed {
	for _, d := range slices.SortedFunc(maps.Values(r.decisions), func(a, b *decision.Decision) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	}) {
		r.one(d)
	}
	return &r.report
}

func (r *Replay) one(d *decision.Decision) {
	if !ByPolicy(d) {
		r.report.Skipped++
		return
	}
	if goesOn(d.Verdict) {
		r.report.Before += d.Cost
	}
	if r.aborted[d.Ref] {
		r.report.Skipped++
		return
	}
	req := RequestOf(r.policy, d)
	req.Budget = r.policy.Budget(req)
	for _, c := range req.Budget.Claims {
		b := c.Untouched(d.At)
		b.Spent = r.spent[r.name(c, b)]
		b.Left = b.Limit - b.Spent
		req.Budget.Balances = append(req.Budget.Balances, b)
	}
	v := r.policy.Decide(req)
	if v.Shadow != nil {
		v = *v.Shadow
	}
	r.report.Decisions++
	if goesOn(string(v.Verdict)) {
		for i, c := range v.Claims {
			r.spent[r.name(c, req.Budget.Balances[i])] += v.Cost
		}
		r.report.Cost += v.Cost
	}
	r.aborted[d.Ref] = v.Verdict == policy.Abort && len(v.Unknown) == 0
	r.compare(d, v, len(v.Unknown) > 0)
}

// name is the account of a claim in the period of a balance.
func (r *Replay) name(c quota.Claim, b quota.Balance) string {
	return c.Account.Key() + " " + c.Period.String() + " " + b.Start.Format(time.RFC3339)
}

func (r *Replay) compare(d *decision.Decision, v policy.Decision, undecided bool) {
	diff := Difference{
		Ref: d.Ref, At: d.At, Queue: d.Queue, Point: d.Point, Owner: d.Owner, Cost: v.Cost,
		Before: Verdict{d.Verdict, d.Reason, d.Rule}, After: Verdict{string(v.Verdict), v.Reason, v.Rule},
	}
	before, after := goesOn(d.Verdict), goesOn(string(v.Verdict))
	switch out := &r.report; {
	case undecided && len(d.Unknown) == 0:
		out.Undecided = append(out.Undecided, diff)
	case before && !after:
		out.Refused = append(out.Refused, diff)
	case after && !before:
		out.Released = append(out.Released, diff)
	case diff.Before.Verdict != diff.After.Verdict, diff.Before.Reason != diff.After.Reason:
		out.Changed = append(out.Changed, diff)
	default:
		out.Same++
	}
}

// goesOn reports whether a verdict lets a job go on: a job that is held by the
// default waits for its owner, as it should.
func goesOn(verdict string) bool {
	switch policy.Verdict(verdict) {
	case policy.Complete, policy.Redirect, policy.Hold:
		return true
	}
	return false
}
