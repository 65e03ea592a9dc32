package quota

import (
	"fmt"
	"strings"
	"time"
)

// Settle makes what a job reserved spent, in the period it was reserved in. The entry has
// no kind when nothing is reserved.
func (s *State) Settle(job string, now time.Time) (Entry, error) {
	r := s.Reservations[job]
	if r == nil {
		return Entry{}, nil
	}
	s.remember(job, now)
	return r.entry(Settled, r.Amount), s.end(r, 0)
}

// Refund gives a part of what a job reserved back and makes the rest spent. The entry has
// no kind when nothing is reserved.
func (s *State) Refund(job string, how Refund, now time.Time) (Entry, error) {
	r := s.Reservations[job]
	if r == nil {
		return Entry{}, nil
	}
	back, err := s.refund(r, how, now)
	if err != nil {
		return Entry{}, err
	}
	if back > 0 {
		s.Refunded = append(s.Refunded, refunded{r.Owner, back, now})
	}
	s.remember(job, now)
	e := r.entry(Refunded, back)
	e.Why = how.Why
	return e, s.end(r, back)
}

// Void gives all back that a try reserved, or any try when attempt is empty; the job can be
// reserved again. The entry has no kind when the try has reserved nothing.
func (s *State) Void(job, attempt string) (Entry, error) {
	r := s.Reservations[job]
	if r == nil || (attempt != "" && r.Attempt != attempt) {
		return Entry{}, nil
	}
	return r.entry(Voided, r.Amount), s.end(r, r.Amount)
}

// Reopen gives back what was spent for a job that ended and did not print after all; it can
// be charged again. The entry has no kind when the job is not remembered as ended.
func (s *State) Reopen(c *Charge) (Entry, error) {
	if _, ended := s.Ended[c.Job]; !ended {
		return Entry{}, nil
	}
	delete(s.Ended, c.Job)
	return Entry{Kind: Refunded, Job: c.Job, Owner: c.Owner, Amount: c.Amount, Why: "did not print after all"},
		s.unspend(c.Amount, c.Now)
}

// SetLimit gives the account a limit of its own in the periods that now is in; nil takes it
// away.
func (s *State) SetLimit(limit *Amount, n Note) (Entry, error) {
	if err := s.rollOver(n.At); err != nil {
		return Entry{}, err
	}
	e := Entry{Kind: LimitSet, Default: limit == nil, By: n.By, Why: n.Why}
	if s.Own = nil; limit != nil {
		s.Own, e.Amount = &ownLimit{*limit, n.At}, *limit
	}
	return e, nil
}

// Adjust gives to the account, or takes from it, in the periods that now is in.
func (s *State) Adjust(delta Amount, n Note) (Entry, error) {
	if err := s.rollOver(n.At); err != nil {
		return Entry{}, err
	}
	if s.forgetAdjusted(); len(s.Adjusted) >= maxAdjustments {
		return Entry{}, ErrFull
	}
	s.Adjusted = append(s.Adjusted, adjustment{delta, n.At})
	if _, err := s.adjustedIn(time.Time{}, n.At.Add(1)); err != nil {
		return Entry{}, err
	}
	return Entry{Kind: Adjusted, Amount: delta, By: n.By, Why: n.Why}, nil
}

// entry is one about a reservation.
func (r *Reservation) entry(kind string, amount Amount) Entry {
	return Entry{Kind: kind, Job: r.Job, Owner: r.Owner, Amount: amount}
}

// remember notes that a job has come to its end.
func (s *State) remember(job string, now time.Time) {
	if s.Ended == nil {
		s.Ended = map[string]time.Time{}
	}
	s.Ended[job] = now
	for len(s.Ended) > maxEnded {
		oldest := job
		for j, at := range s.Ended {
			if at.Before(s.Ended[oldest]) || (at.Equal(s.Ended[oldest]) && j < oldest) {
				oldest = j
			}
		}
		delete(s.Ended, oldest)
	}
}

// refund is how much of an amount is given back.
func (s *State) refund(r *Reservation, how Refund, now time.Time) (Amount, error) {
	if how.Permille < 0 || how.Permille > 1000 || how.PerDay < 0 {
		return 0, fmt.Errorf("%w: a refund of %d thousandths", ErrCharge, how.Permille)
	}
	whole, part := r.Amount/1000, r.Amount%1000
	back := whole*Amount(how.Permille) + part*Amount(how.Permille)/1000
	if how.PerDay == 0 {
		return back, nil
	}
	var today Amount
	for _, f := range s.Refunded {
		if strings.EqualFold(f.Owner, r.Owner) && now.Sub(f.At).Abs() < refundDay {
			sum, err := today.Add(f.Amount)
			if err != nil {
				return 0, err
			}
			today = sum
		}
	}
	return max(0, min(back, how.PerDay-today)), nil
}
