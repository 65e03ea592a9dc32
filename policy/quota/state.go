package quota

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The bounds of one account: open reservations, jobs that ended lately and are
// remembered, adjustments of a period, and entries that are not surely published.
const (
	maxReservations = 2000
	maxEnded        = 256
	maxAdjustments  = 200
	maxOutbox       = 200
	rememberEnded   = 24 * time.Hour
	refundDay       = 24 * time.Hour
	rememberAdjust  = 400 * 24 * time.Hour
	// keepUnused is how long an account is kept after its last period: longer than
	// jobs are remembered, and than a record of a job may wait to be settled.
	keepUnused = 31 * 24 * time.Hour
)

var (
	// ErrEnded says that a job was settled or refunded before.
	ErrEnded = errors.New("the job is settled already")
	// ErrFull says that an account has too much open at once.
	ErrFull = errors.New("too much is open on the account at once")
	// ErrBusy says that an account was not changed because others changed it at every try. It
	// can be tried again at once.
	ErrBusy = errors.New("others change the account all the while")
	// ErrCharge says that a charge is invalid.
	ErrCharge = errors.New("invalid charge")
)

// state is what is stored of an account. Its methods are pure: they change the
// value in memory, and are told the time.
type state struct {
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
func (s *state) limitIn(limit Amount, start, end time.Time) Amount {
	if s.Own != nil && !s.Own.At.Before(start) && s.Own.At.Before(end) {
		return s.Own.Limit
	}
	return limit
}

func (s *state) adjustedIn(start, end time.Time) (sum Amount, err error) {
	for _, a := range s.Adjusted {
		if !a.At.Before(start) && a.At.Before(end) {
			if sum, err = sum.Add(a.Delta); err != nil {
				return 0, err
			}
		}
	}
	return sum, nil
}

func (s *state) reservedIn(period string, start time.Time) (sum Amount, err error) {
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
func (s *state) left(period string, b *bucket, since, end time.Time) (bal Balance, err error) {
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

// balance is what is on the account by a claim.
func (s *state) balance(ctx context.Context, c *Claim, now time.Time) (Balance, error) {
	b, since, err := s.bucketFor(ctx, c, now)
	if err != nil {
		return Balance{}, err
	}
	bal, err := s.left(c.Period.String(), b, since, b.End)
	bal.Account, bal.Names, bal.Overdraft = c.Account, c.Names, c.Overdraft
	return bal, err
}

// reserve sets an amount aside by all claims of the account. changed is false
// when it was set aside just so before.
func (s *state) reserve(ctx context.Context, ch *Charge, claims []Claim) (changed bool, err error) {
	if s.ended(ch) {
		return false, ErrEnded
	}
	before := s.Reservations[ch.Job]
	same := before != nil && before.Amount == ch.Amount
	if same && before.Attempt != ch.Attempt && !ch.Printed {
		// A new try counts in the periods of now, as it was decided; one that was made, or is
		// repeated, in those that it was reserved in.
		if same, err = s.countsIn(ctx, before, claims, ch.Now); err != nil {
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
		if err := s.giveWay(ctx, ch, claims, before); err != nil {
			return false, err
		}
	}
	r := &Reservation{
		Job: ch.Job, Attempt: ch.Attempt, For: ch.For, Owner: ch.Owner, Amount: ch.Amount, At: ch.Now,
		Periods: map[string]time.Time{},
	}
	for i := range claims {
		bal, err := s.balance(ctx, &claims[i], ch.Now)
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
func (s *state) ended(ch *Charge) bool {
	at, ok := s.Ended[ch.Job]
	return ok && !at.Before(ch.Since)
}

// countsIn reports whether a reservation counts in the periods of claims now, and in no other.
func (s *state) countsIn(ctx context.Context, r *Reservation, claims []Claim, now time.Time) (bool, error) {
	names := map[string]bool{}
	for i := range claims {
		b, _, err := s.bucketFor(ctx, &claims[i], now)
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
func (s *state) end(r *Reservation, back Amount) error {
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
			if err := newest.comesBack(start, back); err != nil {
				return err
			}
		}
	}
	return nil
}

// giveWay takes a job's reservation away: it stands neither in the way of the one that
// takes its place nor of what is carried over. Its period is closed before, with it, so
// that reinstate finds what it gave back.
func (s *state) giveWay(ctx context.Context, ch *Charge, claims []Claim, before *Reservation) error {
	for i := range claims {
		if _, _, err := s.bucketFor(ctx, &claims[i], ch.Now); err != nil {
			return err
		}
	}
	return s.end(before, before.Amount)
}

// reinstate undoes giveWay.
func (s *state) reinstate(r *Reservation) error {
	s.Reservations[r.Job] = r
	for name, start := range r.Periods {
		if newest := s.Buckets[name]; newest != nil && newest.Start.After(start) {
			if err := newest.comesBack(start, -r.Amount); err != nil {
				return err
			}
		}
	}
	return nil
}

// unspend gives back what was spent lately. Where a period began since, it is given to
// the account instead.
func (s *state) unspend(amount Amount, now time.Time) error {
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

// remember notes that a job has come to its end.
func (s *state) remember(job string, now time.Time) {
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
func (s *state) refund(r *Reservation, how Refund, now time.Time) (Amount, error) {
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

// tidy forgets what has no effect any more. What a clock that was ahead noted
// counts from now on.
func (s *state) tidy(now time.Time) {
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
