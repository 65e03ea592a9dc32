package evaluate

import (
	"cmp"
	"time"

	"pullprint/connector/decision"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// Decision is the audit record of what was decided on a question.
func (e *Evaluator) Decision(id string, v policy.Decision, shadow *policy.Decision, eval *Evaluation) decision.Decision {
	d := decision.Decision{
		ID: id, At: eval.Now, Point: string(v.Point), Verdict: string(v.Verdict), Reason: v.Reason, Rule: v.Rule,
		Text: v.Text, Remedy: v.Remedy, IPP: v.IPP, Policy: v.PolicyHash, Error: v.Err, By: e.instance,
		Set: SettingsOf(v.Set), SetBy: v.SetBy, Variant: SettingsOf(v.Variant), Cost: v.Cost, Input: input(eval),
	}
	d.Shadow = shadowOf(v, cmp.Or(shadow, v.Shadow))
	for _, u := range v.Unknown {
		d.Unknown = append(d.Unknown, decision.Unknown{Dependency: string(u.Dependency), Mode: string(u.Mode)})
	}
	for i := range v.Claims {
		d.Accounts = append(d.Accounts, v.Claims[i].Account.Key())
	}
	return d
}

// shadowOf is what is recorded of a decision that was not taken; nil when it is the same as v.
func shadowOf(v policy.Decision, s *policy.Decision) *decision.Shadow {
	if s == nil || v.Shadow == nil && s.Verdict == v.Verdict && s.Reason == v.Reason && s.Set == v.Set {
		return nil
	}
	return &decision.Shadow{
		Verdict: string(s.Verdict), Reason: s.Reason, Rule: s.Rule, Text: s.Text, Remedy: s.Remedy, Error: s.Err,
		Policy: s.PolicyHash, Cost: s.Cost,
	}
}

// SettingsOf are settings as they are stored; nil when there are none.
func SettingsOf(s policy.Settings) *decision.Settings {
	if s == (policy.Settings{}) {
		return nil
	}
	h := decision.Settings(s)
	return &h
}

// input is the input of the policy, so that the decision can be replayed.
func input(eval *Evaluation) decision.Input {
	j := &eval.Job
	in := decision.Input{
		Mode: eval.Queue.Mode, Copies: j.Copies, CopiesUnsaid: eval.job.Configuration.Copies == 0,
		Color: j.Color, Duplex: j.Duplex, OneSided: j.OneSided, MediaSize: j.MediaSize,
		ContentType: j.ContentType, Size: j.Size, Created: j.Created, Groups: eval.User.Groups,
		GroupsAge: int64(eval.groupsAge / time.Second),
		Language:  eval.User.Language, Pages: eval.Pages, PagesPerSheet: j.PagesPerSheet,
	}
	in.ColorMode, in.Finishings = words(eval.job.Configuration)
	for _, r := range j.Ranges {
		in.Ranges = append(in.Ranges, decision.Range(r))
	}
	for _, m := range eval.Missing {
		in.Missing = append(in.Missing, string(m))
	}
	for _, b := range eval.Budget.Balances {
		in.Balances = append(in.Balances, account(b))
	}
	return in
}

// What is stored of the words of a job's configuration: more finishings, and longer words, than Graph has.
const (
	maxFinishings = 16
	maxWord       = 40
)

// words are the mode of the colours and the finishings of a job; what is too long or too many is left out.
func words(c graph.Configuration) (color string, finishings []string) {
	if len(c.ColorMode) <= maxWord {
		color = c.ColorMode
	}
	for _, f := range c.Finishings[:min(len(c.Finishings), maxFinishings)] {
		if f != "none" && len(f) <= maxWord {
			finishings = append(finishings, f)
		}
	}
	return color, finishings
}

func account(b quota.Balance) decision.Account {
	return decision.Account{
		Key: b.Account.Key(), Limit: b.Limit + b.Carried + b.Adjusted, Spent: b.Spent, Reserved: b.Reserved, Left: b.Left,
		Renews: b.Renews,
	}
}
