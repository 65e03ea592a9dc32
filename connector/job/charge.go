package job

import (
	"slices"
	"strings"

	"pullprint/connector/decision"
	"pullprint/policy/quota"
)

// Recharged is the charge of a release of a job that was charged before. What was paid for
// at arrival stays paid, even if nobody has to pay now.
func Recharged(before, now *Charge) *Charge {
	if before == nil {
		return now
	}
	earlier := *before
	if earlier.AtArrival && earlier.Before != nil {
		earlier = *earlier.Before // what was reserved at arrival, not what a try made of it
	}
	earlier.Before = nil
	before = &earlier
	if now == nil {
		if before.AtArrival {
			return before
		}
		return nil
	}
	c := *now
	c.AtArrival, c.Before = before.AtArrival, before
	return &c
}

// CoversMore reports whether a try costs less than what the same accounts reserved for the
// job at arrival.
func CoversMore(c *Charge) bool {
	return c != nil && c.AtArrival && c.Before != nil && c.Before.Amount > c.Amount &&
		slices.Equal(c.Before.Accounts(), c.Accounts())
}

// whole reports whether each claim of a stored charge names its account: what is missing in JSON stays
// empty, and could not be read any more once it was written. Who pays nothing has a whole charge.
func (c *Charge) whole() bool {
	for ; c != nil; c = c.Before {
		if slices.ContainsFunc(c.Claims, func(claim quota.Claim) bool { return claim.Account == quota.Account{} }) {
			return false
		}
	}
	return true
}

// TellIn says in a decision what the job costs and who pays; nobody does when c is nil.
func (c *Charge) TellIn(d *decision.Decision) {
	if c == nil {
		return
	}
	d.Cost = c.Amount
	for _, a := range c.Accounts() {
		d.Accounts = append(d.Accounts, a.Key())
	}
}

// OneOfAccounts reports whether an account is one of a list; an earlier version stored the ids of
// people as they came.
func OneOfAccounts(list []quota.Account, a quota.Account) bool {
	return slices.ContainsFunc(list, func(b quota.Account) bool { return strings.EqualFold(a.Key(), b.Key()) })
}
