package quota

import (
	"errors"
	"slices"
	"time"
)

// The bounds of one account: open reservations, jobs that ended lately and are
// remembered, and adjustments of a period.
const (
	maxReservations = 2000
	maxEnded        = 256
	maxAdjustments  = 200
	rememberEnded   = 24 * time.Hour
	refundDay       = 24 * time.Hour
	rememberAdjust  = 400 * 24 * time.Hour
	// keepUnused is how long an account is kept after its last period: longer than
	// jobs are remembered, and than a record of a job may wait to be settled.
	keepUnused = 31 * 24 * time.Hour
)

var (
	// ErrEnded says that a job was settled or refunded before.
	ErrEnded = errors.New("the job was already settled or refunded")
	// ErrFull says that an account has as many open reservations, or adjustments, as it can.
	ErrFull = errors.New("the account has too many open reservations or adjustments")
	// ErrCharge says that a charge is invalid.
	ErrCharge = errors.New("invalid charge")
)

// State is what is stored of an account. Its methods change the value in memory: they
// are told the time and do no I/O. One goroutine at a time has a State.
type State struct {
	Seq          uint64                  `json:"seq"`
	Buckets      map[string]*bucket      `json:"buckets,omitempty"` // by period
	Reservations map[string]*Reservation `json:"reservations,omitempty"`
	Own          *ownLimit               `json:"own,omitempty"`
	Adjusted     []adjustment            `json:"adjusted,omitempty"`
	Refunded     []refunded              `json:"refunded,omitempty"`
	Ended        map[string]time.Time    `json:"ended,omitempty"`
	// Life tells an account from one of the same name that was there before.
	Life   string  `json:"life,omitempty"`
	Outbox []Entry `json:"outbox,omitempty"`
}

// Reservation is what is set aside for a job until it is known how it ended.
type Reservation struct {
	Job     string `json:"job"`
	Attempt string `json:"attempt"`
	// For is what the try is to do: see Charge. Empty when stored by a version that
	// did not say.
	For    string    `json:"for,omitempty"`
	Owner  string    `json:"owner"`
	Amount Amount    `json:"amount"`
	At     time.Time `json:"at"`
	// Periods are the beginnings of those it counts in, by period.
	Periods map[string]time.Time `json:"periods"`
}

type ownLimit struct {
	Limit Amount    `json:"limit"`
	At    time.Time `json:"at"`
}

type adjustment struct {
	Delta Amount    `json:"delta"`
	At    time.Time `json:"at"`
}

type refunded struct {
	Owner  string    `json:"owner"`
	Amount Amount    `json:"amount"`
	At     time.Time `json:"at"`
}

// Balance is what is on an account by a claim. Always
// Spent + Reserved + Left == Limit + Carried + Adjusted, unless Left is the most that can be
// counted.
type Balance struct {
	Account   Account   `json:"account"`
	Names     []string  `json:"names"`
	Limit     Amount    `json:"limit"`
	Carried   Amount    `json:"carried"`
	Adjusted  Amount    `json:"adjusted"`
	Spent     Amount    `json:"spent"`
	Reserved  Amount    `json:"reserved"`
	Left      Amount    `json:"left"`
	Overdraft Amount    `json:"overdraft"`
	Start     time.Time `json:"start"`
	Renews    time.Time `json:"renews"`
}

// Covers reports whether there is room for a cost: always for a job that costs nothing, also
// when more was spent than there was.
func (b *Balance) Covers(cost Amount) bool { return cost <= 0 || b.Left.plus(b.Overdraft) >= cost }

// limitIn is the account's limit in a window: its own when that was set in it.
func (s *State) limitIn(limit Amount, start, end time.Time) Amount {
	if s.Own != nil && !s.Own.At.Before(start) && s.Own.At.Before(end) {
		return s.Own.Limit
	}
	return limit
}

func (s *State) adjustedIn(start, end time.Time) (sum Amount, err error) {
	for _, a := range s.Adjusted {
		if !a.At.Before(start) && a.At.Before(end) {
			if sum, err = sum.Add(a.Delta); err != nil {
				return 0, err
			}
		}
	}
	return sum, nil
}

func (s *State) reservedIn(period string, start time.Time) (sum Amount, err error) {
	for _, r := range s.Reservations {
		if at, ok := r.Periods[period]; ok && at.Equal(start) {
			if sum, err = sum.Add(r.Amount); err != nil {
				return 0, err
			}
		}
	}
	return sum, nil
}

// left is what is left of a bucket, with what was set and adjusted from since on;
// its window ends at end.
func (s *State) left(period string, b *bucket, since, end time.Time) (bal Balance, err error) {
	bal = Balance{Limit: s.limitIn(b.Limit, since, end), Carried: b.Carried, Spent: b.Spent, Start: b.Start, Renews: end}
	if bal.Adjusted, err = s.adjustedIn(since, end); err != nil {
		return bal, err
	}
	if bal.Reserved, err = s.reservedIn(period, b.Start); err != nil {
		return bal, err
	}
	bal.Left = bal.Limit
	for _, a := range []Amount{-bal.Spent, -bal.Reserved, bal.Carried, bal.Adjusted} {
		bal.Left = bal.Left.plus(a)
	}
	return bal, nil
}

// Balance is what is on the account by a claim; a period that is over is rolled over.
func (s *State) Balance(c *Claim, now time.Time) (Balance, error) {
	b, since, err := s.bucketFor(c, now)
	if err != nil {
		return Balance{}, err
	}
	bal, err := s.left(c.Period.String(), b, since, b.End)
	bal.Account, bal.Names, bal.Overdraft = c.Account, c.Names, c.Overdraft
	return bal, err
}

// Add puts an entry into the outbox, as the next of the account, and forgets what has no
// effect any more.
func (s *State) Add(e Entry, account string, now time.Time) {
	s.tidy(now)
	s.Seq++
	e.Account, e.Seq, e.At = account, s.Seq, now
	s.Outbox = append(s.Outbox, e)
}

// tidy forgets what has no effect any more. What a clock that was ahead noted
// counts from now on.
func (s *State) tidy(now time.Time) {
	for job, at := range s.Ended {
		switch age := now.Sub(at); {
		case age > rememberEnded:
			delete(s.Ended, job)
		case age < -rememberEnded:
			s.Ended[job] = now
		}
	}
	s.Refunded = slices.DeleteFunc(s.Refunded, func(f refunded) bool { return now.Sub(f.At).Abs() > refundDay })
	if len(s.Adjusted) > maxAdjustments/2 { // not before: a clock that is ahead must not forget those of this period
		s.Adjusted = slices.DeleteFunc(s.Adjusted, func(a adjustment) bool { return now.Sub(a.At) > rememberAdjust })
	}
}
