package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"pullprint/policy/quota"
)

// Reserve sets aside what a job costs on all accounts that pay; it is durable
// when it returns nil. Reserving the same job again changes nothing, but the
// reservation is of the new attempt then; another amount takes the place of the
// one before. The error is an *quota.Exhausted when an account has no room: then
// nothing of this charge is set aside, and a reservation that was there before
// stays. It is quota.ErrEnded when the job was settled or refunded before. After any
// other error nobody knows, and the caller calls again or voids.
//
// All accounts are asked before the first is changed: one that refuses leaves the others
// as they are, and makes none that was not there. Only a charge that is refused as an
// account was changed since is taken back.
//
// Accounts are reserved one after the other, in the order of their keys. If the process
// dies between, a part is reserved, which the next try completes and Void takes back. What
// was reserved before is made smaller only when all have accepted: the room that it gives
// free may be somebody else's by the time it is to be had back.
func (l *Ledger) Reserve(ctx context.Context, c quota.Charge) error {
	if err := c.Check(); err != nil {
		return err
	}
	accounts := byAccount(c.Claims)
	if len(accounts) > 1 { // one alone is asked and changed at once
		if err := l.ask(ctx, &c, accounts); err != nil {
			return err
		}
	}
	made := make([]*quota.Reservation, 0, len(accounts)) // what was there before
	var later []int
	for i, claims := range accounts {
		r := reserving{charge: &c, claims: claims, wait: len(accounts) > 1}
		err := l.reserveOn(ctx, &r)
		switch {
		case errors.Is(err, quota.ErrEnded) && c.Printed:
			// It was charged on this account before.
		case refused(err):
			return l.takeBack(ctx, &c, accounts, made, err)
		case err != nil:
			return err
		case r.waits:
			later = append(later, i)
		}
		made = append(made, r.before)
	}
	for _, i := range later {
		err := l.reserveOn(ctx, &reserving{charge: &c, claims: accounts[i]})
		switch {
		case errors.Is(err, quota.ErrEnded) && c.Printed:
		case refused(err): // the account was changed since it was asked above
			return l.takeBack(ctx, &c, accounts, made, err)
		case err != nil:
			return err
		}
	}
	return nil
}

// ask reports with an error that an account refuses a charge. It changes nothing.
func (l *Ledger) ask(ctx context.Context, c *quota.Charge, accounts [][]quota.Claim) error {
	for _, claims := range accounts {
		s, _, err := l.load(ctx, claims[0].Account.Key())
		if err != nil {
			return err
		}
		if _, err = s.Reserve(c, claims); err != nil && (!errors.Is(err, quota.ErrEnded) || !c.Printed) {
			return err
		}
	}
	return nil
}

// takeBack makes a charge that was refused with an error one that changed nothing: made
// is what was there before, on the first of the accounts. It returns that error.
func (l *Ledger) takeBack(
	ctx context.Context, c *quota.Charge, accounts [][]quota.Claim, made []*quota.Reservation, refusal error,
) error {
	for i, before := range made {
		if err := l.restore(ctx, c, accounts[i][0].Account, before); err != nil {
			return fmt.Errorf("take back a part of a charge: %w", err)
		}
	}
	return refusal
}

// reserving is one account of a charge.
type reserving struct {
	charge *quota.Charge
	claims []quota.Claim
	wait   bool // whether a reservation that covers the charge is left alone now

	before *quota.Reservation // the reservation that was there, if any
	waits  bool               // whether it was left alone
}

// reserveOn reserves on one account. An error of the charge itself is returned as
// it is.
func (l *Ledger) reserveOn(ctx context.Context, r *reserving) error {
	_, err := l.change(ctx, r.claims[0].Account, r.charge.Now, func(s *quota.State) (quota.Entry, error) {
		r.before, r.waits = nil, false
		if had := s.Reservations[r.charge.Job]; had != nil {
			was := *had
			r.before = &was
		}
		e, err := s.Reserve(r.charge, r.claims)
		if r.wait && r.before != nil && r.before.Amount >= r.charge.Amount && err == nil && e.Kind != "" {
			// Whether there is room even for less is known before anything is changed: the
			// limit may have been lowered.
			r.waits = true
			return quota.Entry{}, nil
		}
		return e, err
	})
	return err
}

// refused reports whether an error says that an account does not take a charge,
// and surely did not.
func refused(err error) bool {
	var ex *quota.Exhausted
	return errors.As(err, &ex) || errors.Is(err, quota.ErrEnded) || errors.Is(err, quota.ErrFull) ||
		errors.Is(err, quota.ErrOverflow)
}

// restore puts back what was reserved on an account before a charge.
func (l *Ledger) restore(ctx context.Context, c *quota.Charge, a quota.Account, before *quota.Reservation) error {
	_, err := l.change(ctx, a, c.Now, func(s *quota.State) (quota.Entry, error) { return s.Restore(c, before) })
	return err
}

// byAccount sorts the claims of a charge by account.
func byAccount(claims []quota.Claim) [][]quota.Claim {
	sorted := slices.Clone(claims)
	slices.SortStableFunc(sorted, func(a, b quota.Claim) int { return cmp.Compare(a.Account.Key(), b.Account.Key()) })
	var out [][]quota.Claim
	for _, c := range sorted {
		if n := len(out); n > 0 && out[n-1][0].Account == c.Account {
			out[n-1] = append(out[n-1], c)
		} else {
			out = append(out, []quota.Claim{c})
		}
	}
	return out
}
