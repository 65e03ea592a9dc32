package quota

import (
	"maps"
	"time"
)

// Reserve sets the amount of a charge aside by claims on the account, all those of the
// charge on it. The entry has no kind when nothing is to be done: it was set aside just so
// before, or the charge takes the place of a reservation that is not there. The error is
// an *Exhausted when there is no room, and ErrEnded when the job was settled or refunded
// before.
func (s *State) Reserve(ch *Charge, claims []Claim) (Entry, error) {
	if ch.superseded(s.Reservations[ch.Job]) {
		return Entry{}, nil
	}
	changed, err := s.reserve(ch, claims)
	if err != nil || !changed {
		return Entry{}, err
	}
	return Entry{Kind: Reserved, Job: ch.Job, Owner: ch.Owner, Amount: ch.Amount}, nil
}

func (s *State) reserve(ch *Charge, claims []Claim) (changed bool, err error) {
	if s.ended(ch) {
		return false, ErrEnded
	}
	before := s.Reservations[ch.Job]
	same := before != nil && before.Amount == ch.Amount
	if same && before.Attempt != ch.Attempt && !ch.Printed {
		// A new try counts in the periods of now, as it was decided; one that was made, or is
		// repeated, in those that it was reserved in.
		if same, err = s.countsIn(before, claims, ch.Now); err != nil {
			return false, err
		}
	}
	if same {
		changed = before.Attempt != ch.Attempt || before.For != ch.For
		if changed {
			before.Attempt, before.For, before.At = ch.Attempt, ch.For, ch.Now
		}
		return changed, nil
	}
	if before == nil && len(s.Reservations) >= maxReservations && !ch.Printed {
		return false, &Exhausted{Balance: Balance{Account: claims[0].Account}, Amount: ch.Amount, Full: true}
	}
	if before != nil {
		if err := s.withdraw(ch, claims, before); err != nil {
			return false, err
		}
	}
	r := &Reservation{
		Job: ch.Job, Attempt: ch.Attempt, For: ch.For, Owner: ch.Owner, Amount: ch.Amount, At: ch.Now,
		Periods: map[string]time.Time{},
	}
	for i := range claims {
		bal, err := s.Balance(&claims[i], ch.Now)
		if err != nil {
			return false, err
		}
		if !bal.Covers(ch.Amount) && !ch.Printed {
			return false, &Exhausted{Balance: bal, Amount: ch.Amount, Short: ch.Amount.plus(-bal.Left.plus(bal.Overdraft))}
		}
		r.Periods[claims[i].Period.String()] = bal.Start
	}
	if s.Reservations == nil {
		s.Reservations = map[string]*Reservation{}
	}
	s.Reservations[ch.Job] = r
	return true, nil
}

// ended reports whether the job of a charge has come to its end.
func (s *State) ended(ch *Charge) bool {
	at, ok := s.Ended[ch.Job]
	return ok && !at.Before(ch.Since)
}

// countsIn reports whether a reservation counts in the periods of claims now, and in no other.
func (s *State) countsIn(r *Reservation, claims []Claim, now time.Time) (bool, error) {
	names := map[string]bool{}
	for i := range claims {
		b, _, err := s.bucketFor(&claims[i], now)
		if err != nil {
			return false, err
		}
		name := claims[i].Period.String()
		if at, ok := r.Periods[name]; !ok || !at.Equal(b.Start) {
			return false, nil
		}
		names[name] = true
	}
	return len(names) == len(r.Periods), nil
}

// end takes a reservation away: spent is what of it stays spent, the rest is
// free again. In a period that is over, what is free goes into what was carried.
func (s *State) end(r *Reservation, back Amount) error {
	delete(s.Reservations, r.Job)
	spent, err := r.Amount.Sub(back)
	if err != nil {
		return err
	}
	for name, start := range r.Periods {
		newest := s.Buckets[name]
		if newest == nil {
			continue
		}
		if b := newest.at(start); b != nil {
			if b.Spent, err = b.Spent.Add(spent); err != nil {
				return err
			}
		}
		if newest.Start.After(start) {
			if err := newest.carryBack(start, back); err != nil {
				return err
			}
		}
	}
	return nil
}

// withdraw takes a job's reservation away: it stands neither in the way of the one that
// takes its place nor of what is carried over. Its period is closed before, with it, so
// that reinstate finds what it gave back.
func (s *State) withdraw(ch *Charge, claims []Claim, before *Reservation) error {
	for i := range claims {
		if _, _, err := s.bucketFor(&claims[i], ch.Now); err != nil {
			return err
		}
	}
	return s.end(before, before.Amount)
}

// reinstate undoes withdraw.
func (s *State) reinstate(r *Reservation) error {
	s.Reservations[r.Job] = r
	for name, start := range r.Periods {
		if newest := s.Buckets[name]; newest != nil && newest.Start.After(start) {
			if err := newest.carryBack(start, -r.Amount); err != nil {
				return err
			}
		}
	}
	return nil
}

// unspend gives back what was spent lately. Where a period began since, it is given to
// the account instead.
func (s *State) unspend(amount Amount, now time.Time) error {
	for _, b := range s.Buckets {
		if b.Spent < amount {
			s.Adjusted = append(s.Adjusted, adjustment{amount, now})
			_, err := s.adjustedIn(time.Time{}, now.Add(1))
			return err
		}
	}
	for _, b := range s.Buckets {
		b.Spent -= amount
	}
	return nil
}

// Restore puts back what was reserved on the account before a charge that another account
// refused; before is nil when nothing was. The entry has no kind when nothing is to be done.
func (s *State) Restore(c *Charge, before *Reservation) (Entry, error) {
	r := s.Reservations[c.Job]
	switch {
	case r == nil, r.Attempt != c.Attempt:
		return Entry{}, nil
	case before == nil:
		return r.entry(Voided, r.Amount), s.end(r, r.Amount)
	case before.Attempt == c.Attempt && before.Amount == r.Amount && before.For == r.For && before.At.Equal(r.At):
		return Entry{}, nil
	}
	if before.Amount == r.Amount && maps.EqualFunc(before.Periods, r.Periods, time.Time.Equal) {
		s.Reservations[c.Job] = before
	} else if err := s.reinstate(before); err != nil {
		return Entry{}, err
	}
	return before.entry(Reserved, before.Amount), nil
}
