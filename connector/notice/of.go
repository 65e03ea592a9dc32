package notice

import (
	"strings"

	"pullprint/connector/decision"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// kindOf is the kind of notice that a decision about a job causes; empty when its owner needs none.
func kindOf(d *decision.Decision) string {
	another, seen := byAnother(d), answeredAtOnce(d)
	switch policy.Verdict(d.Verdict) {
	case policy.Redirect:
		if another {
			return ReleasedByAnother
		}
	case policy.Keep:
		if another || !seen {
			return Kept
		}
	case policy.Abort:
		switch {
		case d.Reason == reasons.SelfTest, d.Reason == reasons.CanceledByOwner:
		case d.Reason == reasons.HoldExpired:
			return HoldExpired
		case another || !seen:
			return Aborted
		}
	}
	return ""
}

// byAnother reports whether somebody else than the owner asked: a delegate, or who has a token of the
// API. A badge that came with a token is its owner's.
func byAnother(d *decision.Decision) bool {
	if d.Asked == decision.AskedByToken {
		return true
	}
	_, person := graph.CanonicalGUID(d.Actor)
	return person && !strings.EqualFold(d.Actor, d.Owner)
}

// answeredAtOnce reports whether who asked read at once what was decided: at a device, or on a page for
// people who signed in. What is found out by a look at Graph later may come after they left.
func answeredAtOnce(d *decision.Decision) bool {
	switch d.Asked {
	case decision.AskedByBadge, decision.AskedByStation, decision.AskedByBadgeToken,
		decision.AskedByPhone, decision.AskedByRemote:
		return d.Answer == nil || !d.Answer.ReadBack
	}
	return false
}

// lowPart is which part of an account counts as low: a tenth, which is what is left of a month's
// budget three days before its end if it is used evenly.
const lowPart = 10

// ofBudget is the notice about the owner's account when what a job costs takes it past a tenth of its
// limit, or to its end: once for each time, as both depend on what was there before.
func ofBudget(d *decision.Decision) (Notice, bool) {
	if v := policy.Verdict(d.Verdict); v != policy.Redirect && v != policy.Complete || d.Cost <= 0 {
		return Notice{}, false
	}
	own := quota.Account{Kind: quota.User, Name: d.Owner}
	for _, b := range d.Input.Balances {
		if !strings.EqualFold(b.Key, own.Key()) || b.Limit <= 0 {
			continue
		}
		left, low := b.Left-d.Cost, b.Limit/lowPart
		n := about(d, "")
		switch {
		case b.Left > 0 && left <= 0:
			n.Kind = BudgetExhausted
		case b.Left > low && left <= low:
			n.Kind = BudgetLow
		default:
			return Notice{}, false
		}
		n.ID, n.Reason, n.Text, n.Remedy = ID(d.ID, n.Kind), n.Kind, words[n.Kind].Text, words[n.Kind].Remedy
		return n, true
	}
	return Notice{}, false
}
