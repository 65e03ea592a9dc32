package quota

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

// Reserve sets aside what a job costs on all accounts that pay; it is durable
// when it returns nil. Reserving the same job again changes nothing, but the
// reservation is of the new attempt then; another amount takes the place of the
// one before. The error is an *Exhausted when an account has no room: then
// nothing of this charge is set aside, and a reservation that was there before
// stays. It is ErrEnded when the job was settled or refunded before. After any
// other error nobody knows, and the caller calls again or voids.
//
// All accounts are asked before the first is changed: one that refuses leaves the others
// as they are, and makes none that was not there. Only a charge that is refused as an
// account was changed since is taken back.
//
// Accounts are reserved one after the other, in the order of their keys. Dying
// between leaves a part, which the next try completes and Void takes back. What
// was reserved before is made smaller only when all have accepted: the room that
// it gives free may be somebody else's by the time it is to be had back.
func (l *Ledger) Reserve(ctx context.Context, c Charge) error {
	if err := c.check(); err != nil {
		return err
	}
	accounts := byAccount(c.Claims)
	if len(accounts) > 1 { // one alone is asked and changed at once
		if err := l.ask(ctx, &c, accounts); err != nil {
			return err
		}
	}
	made := make([]*Reservation, 0, len(accounts)) // what was there before
	var later []int
	for i, claims := range accounts {
		r := reserving{charge: &c, claims: claims, wait: len(accounts) > 1}
		err := l.reserveOn(ctx, &r)
		switch {
		case errors.Is(err, ErrEnded) && c.Printed:
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
		case errors.Is(err, ErrEnded) && c.Printed:
		case refused(err): // the account was changed since it was asked above
			return l.takeBack(ctx, &c, accounts, made, err)
		case err != nil:
			return err
		}
	}
	return nil
}

// ask reports with an error that an account refuses a charge. It changes nothing.
func (l *Ledger) ask(ctx context.Context, c *Charge, accounts [][]Claim) error {
	for _, claims := range accounts {
		s, _, err := l.load(ctx, claims[0].Account.Key())
		if err != nil {
			return err
		}
		if c.outdone(s.Reservations[c.Job]) {
			continue
		}
		if _, err = s.reserve(ctx, c, claims); err != nil && (!errors.Is(err, ErrEnded) || !c.Printed) {
			return err
		}
	}
	return nil
}

// takeBack makes a charge that was refused with an error one that changed nothing: made
// is what was there before, on the first of the accounts. It returns that error.
func (l *Ledger) takeBack(
	ctx context.Context, c *Charge, accounts [][]Claim, made []*Reservation, refusal error,
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
	charge *Charge
	claims []Claim
	wait   bool // whether a reservation that covers the charge is left alone now

	before *Reservation // the reservation that was there, if any
	waits  bool         // whether it was left alone
}

// reserveOn reserves on one account. An error of the charge itself is returned as
// it is.
func (l *Ledger) reserveOn(ctx context.Context, r *reserving) error {
	c := r.charge
	return l.change(ctx, r.claims[0].Account, c.Now, func(s *state) (Entry, error) {
		r.before, r.waits = nil, false
		if c.outdone(s.Reservations[c.Job]) {
			return Entry{}, nil
		}
		if had := s.Reservations[c.Job]; had != nil {
			was := *had
			r.before = &was
			if !s.ended(c) && r.wait && was.Amount >= c.Amount {
				// Whether there is room even for less is known before anything is changed:
				// the limit may have been lowered.
				r.waits = true
				_, err := s.reserve(ctx, c, r.claims)
				return Entry{}, err
			}
		}
		changed, err := s.reserve(ctx, c, r.claims)
		if err != nil || !changed {
			return Entry{}, err
		}
		return Entry{Kind: Reserved, Job: c.Job, Owner: c.Owner, Amount: c.Amount}, nil
	})
}

// refused reports whether an error says that an account does not take a charge,
// and surely did not.
func refused(err error) bool {
	var ex *Exhausted
	return errors.As(err, &ex) || errors.Is(err, ErrEnded) || errors.Is(err, ErrFull) || errors.Is(err, ErrOverflow)
}

// restore puts back what was reserved on an account before a charge.
func (l *Ledger) restore(ctx context.Context, c *Charge, a Account, before *Reservation) error {
	return l.change(ctx, a, c.Now, func(s *state) (Entry, error) {
		r := s.Reservations[c.Job]
		switch {
		case r == nil || r.Attempt != c.Attempt:
			return Entry{}, nil
		case before == nil:
			return Entry{Kind: Voided, Job: c.Job, Owner: r.Owner, Amount: r.Amount}, s.end(r, r.Amount)
		case before.Attempt == c.Attempt && before.Amount == r.Amount && before.For == r.For && before.At.Equal(r.At):
			return Entry{}, nil
		}
		if before.Amount == r.Amount && maps.EqualFunc(before.Periods, r.Periods, time.Time.Equal) {
			s.Reservations[c.Job] = before
		} else if err := s.reinstate(before); err != nil {
			return Entry{}, err
		}
		return Entry{Kind: Reserved, Job: c.Job, Owner: before.Owner, Amount: before.Amount}, nil
	})
}
