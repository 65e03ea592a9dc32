package quota

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Allowance is what an account has in a period.
type Allowance struct {
	Name    string
	Account Account
	Limit   Amount
	Period  Period
	// CarryOver is how much of what is left goes into the next period at most.
	CarryOver Amount
	// Overdraft is how far the account may go below zero.
	Overdraft Amount
}

// Merge is what several allowances for one job give together.
type Merge string

// The ways to merge.
const (
	// First is the first one alone.
	First Merge = "first"
	// Sum adds up those of an account and period.
	Sum Merge = "sum"
	// Max is the greatest of those of an account and period.
	Max Merge = "max"
	// Strictest is the smallest of those of an account and period.
	Strictest Merge = "strictest"
)

// Claim is one account that has to pay for a job in a period, by one allowance
// or several.
type Claim struct {
	Account   Account  `json:"account"`
	Limit     Amount   `json:"limit"`
	Period    Period   `json:"period"`
	CarryOver Amount   `json:"carry_over,omitzero"`
	Overdraft Amount   `json:"overdraft,omitzero"`
	Names     []string `json:"names"`
}

// Untouched is the balance of a claim on an account that nobody has used.
func (c *Claim) Untouched(now time.Time) Balance {
	b := Balance{Account: c.Account, Names: c.Names, Limit: c.Limit, Left: c.Limit, Overdraft: c.Overdraft}
	b.Start, b.Renews = c.Period.Window(now)
	return b
}

// Claims merges the allowances that are for a job. Each claim must have room.
func Claims(m Merge, matching []Allowance) ([]Claim, error) {
	if m == First && len(matching) > 1 {
		matching = matching[:1]
	}
	var out []Claim
	for i := range matching {
		a := &matching[i]
		at := slices.IndexFunc(out, func(c Claim) bool {
			return c.Account == a.Account && c.Period.String() == a.Period.String()
		})
		if at < 0 {
			out = append(out, Claim{a.Account, a.Limit, a.Period, a.CarryOver, a.Overdraft, []string{a.Name}})
			continue
		}
		c := &out[at]
		c.Names = append(c.Names, a.Name)
		err := cmp.Or(
			m.merge(&c.Limit, a.Limit), m.merge(&c.CarryOver, a.CarryOver), m.merge(&c.Overdraft, a.Overdraft))
		if err != nil {
			return nil, fmt.Errorf("allowances %v together: %w", c.Names, err)
		}
	}
	return out, nil
}

// merge makes of an amount what it is together with that of a further allowance.
func (m Merge) merge(a *Amount, more Amount) (err error) {
	switch m {
	case Sum:
		*a, err = a.Add(more)
	case Max:
		*a = max(*a, more)
	case Strictest:
		*a = min(*a, more)
	default:
		err = fmt.Errorf("%q is not a valid way to merge allowances", m)
	}
	return err
}
