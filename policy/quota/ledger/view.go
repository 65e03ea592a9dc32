package ledger

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"pullprint/policy/quota"
)

// View is what is open on an account, whatever the policy.
type View struct {
	Account quota.Account `json:"account"`
	// Reservations are open, the oldest first.
	Reservations []quota.Reservation `json:"reservations"`
	// Own is the account's own limit, Since when; nil when it has none.
	Own   *quota.Amount `json:"own_limit,omitempty"`
	Since time.Time     `json:"own_limit_since,omitzero"`
}

// Balances are what is on the accounts of claims, in their order. It changes
// nothing: a period that is over is shown rolled over.
func (l *Ledger) Balances(ctx context.Context, claims []quota.Claim, now time.Time) ([]quota.Balance, error) {
	states := map[quota.Account]*quota.State{}
	out := make([]quota.Balance, len(claims))
	for i := range claims {
		c := &claims[i]
		s := states[c.Account]
		var err error
		if s == nil {
			if s, _, err = l.load(ctx, c.Account.Key()); err != nil {
				return nil, err
			}
			states[c.Account] = s
		}
		if out[i], err = s.Balance(c, now); err != nil {
			return nil, fmt.Errorf("account %s: %w", c.Account.Key(), err)
		}
	}
	return out, nil
}

// View is what is open on an account, whatever the policy.
func (l *Ledger) View(ctx context.Context, a quota.Account) (View, error) {
	s, _, err := l.load(ctx, a.Key())
	if err != nil {
		return View{}, err
	}
	v := View{Account: a, Reservations: []quota.Reservation{}}
	for _, r := range s.Reservations {
		v.Reservations = append(v.Reservations, *r)
	}
	slices.SortFunc(v.Reservations, func(x, y quota.Reservation) int {
		return cmp.Or(x.At.Compare(y.At),
			cmp.Compare(x.Job, y.Job))
	})
	if s.Own != nil {
		v.Own, v.Since = &s.Own.Limit, s.Own.At
	}
	return v, nil
}
