package notice

import (
	"strings"
	"time"

	"pullprint/connector/decision"
	"pullprint/policy"
	"pullprint/policy/badge"
	"pullprint/policy/pin"
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
	case decision.AskedByBadge, decision.AskedByBadgeToken, decision.AskedByPIN, decision.AskedByPINToken,
		decision.AskedByStation, decision.AskedByPhone, decision.AskedByRemote:
		return d.Answer == nil || !d.Answer.ReadBack
	}
	return false
}

// DefaultLow is how many percent of an account count as low: a tenth is what is left of a month's
// budget three days before its end if it is used evenly.
const DefaultLow = 10

// ofBudget are the notices about the owner's account when little or nothing is left of it for a period
// after what a job costs. Each decision from then on causes them, under the same id: two that were made
// side by side know nothing of what the other took.
func ofBudget(d *decision.Decision, low int) (list []Notice) {
	if v := policy.Verdict(d.Verdict); v != policy.Redirect && v != policy.Complete || d.Cost <= 0 {
		return nil
	}
	own := quota.Account{Kind: quota.User, Name: d.Owner}
	for _, b := range d.Input.Balances {
		if !strings.EqualFold(b.Key, own.Key()) || b.Limit <= 0 || b.Renews.IsZero() {
			continue
		}
		left := b.Left - d.Cost
		n := about(d, BudgetLow)
		switch {
		case left <= 0:
			n.Kind, left = BudgetExhausted, 0
		case left > b.Limit/100*quota.Amount(low):
			continue
		}
		n.ID = ID("budget:"+strings.ToLower(d.Owner)+":"+b.Renews.UTC().Format(time.RFC3339), n.Kind)
		n.Reason, n.Text, n.Remedy = n.Kind, words[n.Kind].Text, words[n.Kind].Remedy
		n.Left, n.Limit, n.Renews = &left, &b.Limit, b.Renews
		list = append(list, n)
	}
	return list
}

// OfBadge is the notice of a badge that was enrolled.
func OfBadge(b *badge.Badge) (n Notice, ok bool) {
	owner, person := graph.CanonicalGUID(b.Owner)
	if !person || b.Enrolled.IsZero() || !b.Revoked.IsZero() {
		return Notice{}, false
	}
	w := words[BadgeEnrolled]
	return Notice{
		ID:   ID("badge:"+b.ID+":"+b.Enrolled.UTC().Format(time.RFC3339Nano), BadgeEnrolled),
		Kind: BadgeEnrolled, At: b.Enrolled, Owner: owner, Reason: BadgeEnrolled, Text: w.Text, Remedy: w.Remedy,
	}, true
}

// OfPIN is the notice of a PIN that was set.
func OfPIN(s pin.Stored) (n Notice, ok bool) {
	owner, person := graph.CanonicalGUID(s.Owner)
	if !person || s.Changed.IsZero() {
		return Notice{}, false
	}
	w := words[PINChanged]
	return Notice{
		ID:   ID("pin:"+owner+":"+s.Changed.UTC().Format(time.RFC3339Nano), PINChanged),
		Kind: PINChanged, At: s.Changed, Owner: owner, Reason: PINChanged, Text: w.Text, Remedy: w.Remedy,
	}, true
}
