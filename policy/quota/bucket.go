package quota

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// maxPast is how many periods an amount can come back from: a reservation is ended
// after three days, so that even of days, a handful is looked back on.
const maxPast = 64

// maxIdle is how many periods an account is rolled over at once: 270 years of days. Only
// damaged data is older, and it must not keep a decision waiting.
const maxIdle = 100_000

var errIdle = errors.New("the account was used last too long ago to be rolled over")

// bucket is what was spent of an account in the newest period of a kind. Limit,
// CarryOver and Overdraft are those of the claim that used it last.
type bucket struct {
	Start     time.Time `json:"start"`
	End       time.Time `json:"end,omitzero"`
	Limit     Amount    `json:"limit"`
	CarryOver Amount    `json:"carry_over,omitzero"`
	Carried   Amount    `json:"carried,omitzero"`
	Spent     Amount    `json:"spent"`
	// Past are the periods before, oldest first, from the one on in which something
	// is reserved still.
	Past []past `json:"past,omitempty"`
	// Before is the bucket before this one when a period or more lies between: the
	// clock may have been ahead, and may be put right.
	Before *bucket `json:"before,omitempty"`
	// Ahead is one of a later period, set aside by a clock that was put back.
	Ahead *bucket `json:"ahead,omitempty"`
}

// past is a period that is over: what was left of it, before the bound of what is
// carried over.
type past struct {
	Start     time.Time `json:"start"`
	Left      Amount    `json:"left"`
	CarryOver Amount    `json:"carry_over,omitzero"`
}

// all are the bucket and those beside it.
func (b *bucket) all() []*bucket {
	return slices.DeleteFunc([]*bucket{b, b.Before, b.Ahead}, func(c *bucket) bool { return c == nil })
}

// at is the bucket of the period that begins at start; nil when there is none.
func (b *bucket) at(start time.Time) *bucket {
	for _, c := range b.all() {
		if c.Start.Equal(start) {
			return c
		}
	}
	return nil
}

// single is a copy without the buckets beside it.
func (b *bucket) single() *bucket {
	c := *b
	c.Past, c.Before, c.Ahead = nil, nil, nil
	return &c
}

// bucketFor is the bucket of a claim at a time, rolled over to the period that
// the time is in; since is from when on limits and adjustments count in it. A
// bucket of the next period stays: the clock of another replica is ahead. One of a
// later period was made by a clock that was wrong, and is set aside until then.
func (s *State) bucketFor(c *Claim, now time.Time) (b *bucket, since time.Time, err error) {
	start, end := c.Period.Window(now)
	name := c.Period.String()
	if s.Buckets == nil {
		s.Buckets = map[string]*bucket{}
	}
	b = cmp.Or(s.Buckets[name], &bucket{Start: start})
	since = start
	switch {
	case b.Start.After(end):
		ahead := b.single()
		if b = b.Before; b == nil || b.Start.After(start) {
			b = &bucket{Start: start}
		}
		b.Ahead = ahead
	case b.Start.After(start):
		_, end = c.Period.Window(b.Start)
	}
	if b.Start.Before(start) {
		if b, err = s.roll(c, b, start); err != nil {
			return nil, since, err
		}
	}
	b.End, b.Limit, b.CarryOver = end, c.Limit, c.CarryOver
	s.Buckets[name] = b
	return b, since, nil
}

// rollOver rolls over what is in a period that is over, by the limit and the bound it was
// used with last: a limit that is set from now on is not one of that period.
func (s *State) rollOver(now time.Time) error {
	for name, b := range s.Buckets {
		c := Claim{Limit: b.Limit, CarryOver: b.CarryOver}
		if c.Period.UnmarshalText([]byte(name)) != nil {
			continue // of a zone that is not known any more: no claim can be on it
		}
		if _, _, err := s.bucketFor(&c, now); err != nil {
			return err
		}
	}
	return nil
}

// forgetAdjusted makes room for an adjustment: the oldest are forgotten that count in no
// period that may still be asked for.
func (s *State) forgetAdjusted() {
	if len(s.Buckets) == 0 {
		return
	}
	var oldest time.Time
	for _, newest := range s.Buckets {
		for _, b := range newest.all() {
			if oldest.IsZero() || b.Start.Before(oldest) {
				oldest = b.Start
			}
		}
	}
	for len(s.Adjusted) >= maxAdjustments {
		i := slices.IndexFunc(s.Adjusted, func(a adjustment) bool { return a.At.Before(oldest) })
		if i < 0 {
			return
		}
		s.Adjusted = slices.Delete(s.Adjusted, i, i+1)
	}
}

// roll is the bucket after an old one, of the period that begins at start.
func (s *State) roll(c *Claim, b *bucket, start time.Time) (*bucket, error) {
	carried, closed, err := s.carry(c, b, start)
	if err != nil {
		return nil, err
	}
	if a := b.Ahead; a != nil && !a.Start.After(start) {
		if a.Start.Before(start) {
			return s.roll(c, a.single(), start)
		}
		next := a.single()
		next.Carried = min(next.Carried, carried)
		return next, nil
	}
	next := &bucket{Start: start, Carried: carried, Ahead: b.Ahead}
	if oldest, open := s.oldestIn(c.Period.String()); open {
		next.Past = slices.DeleteFunc(append(slices.Clone(b.Past), closed...),
			func(p past) bool { return p.Start.Before(oldest) })
		next.Past = next.Past[max(0, len(next.Past)-maxPast):]
	}
	if len(closed) > 1 {
		next.Before = b.single()
	}
	return next, nil
}

// oldestIn is when the oldest period begins in which something is reserved.
func (s *State) oldestIn(period string) (oldest time.Time, open bool) {
	for _, r := range s.Reservations {
		if at, ok := r.Periods[period]; ok && (!open || at.Before(oldest)) {
			oldest, open = at, true
		}
	}
	return oldest, open
}

// carry is what goes from an old bucket into the period that begins at start,
// through all the periods between, and what was left of each. A debt always goes
// on; of the rest, what the allowance lets.
func (s *State) carry(c *Claim, b *bucket, start time.Time) (carried Amount, closed []past, err error) {
	_, end := c.Period.Window(b.Start)
	bal, err := s.left(c.Period.String(), b, b.Start, end)
	if err != nil {
		return 0, nil, err
	}
	closed = []past{{b.Start, bal.Left, b.CarryOver}}
	carried = min(bal.Left, b.CarryOver)
	for n := 0; end.Before(start); n++ {
		begin := end
		if _, end = c.Period.Window(begin); n == maxIdle || !end.After(begin) {
			return 0, nil, errIdle
		}
		idle := &bucket{Start: begin, Limit: c.Limit, Carried: carried}
		bal, err := s.left("", idle, begin, end)
		if err != nil {
			return 0, nil, err
		}
		if len(closed) > maxPast {
			closed = slices.Delete(closed, 0, 1)
		}
		closed = append(closed, past{begin, bal.Left, c.CarryOver})
		next := min(bal.Left, c.CarryOver)
		if next == carried && s.unchangedSince(begin) {
			break // every further period gives the same
		}
		carried = next
	}
	return carried, closed, nil
}

// unchangedSince reports whether nothing was set or adjusted from a time on.
func (s *State) unchangedSince(t time.Time) bool {
	return (s.Own == nil || s.Own.At.Before(t)) &&
		!slices.ContainsFunc(s.Adjusted, func(a adjustment) bool { return !a.At.Before(t) })
}

// carryBack gives what was reserved in an earlier period back: it is carried over
// as if it had never been reserved, within the bounds of each period since. With less
// than 0 it is taken away again.
func (b *bucket) carryBack(start time.Time, back Amount) error {
	i := slices.IndexFunc(b.Past, func(p past) bool { return p.Start.Equal(start) })
	if i < 0 {
		if len(b.Past) > 0 {
			return nil // it was too long ago
		}
		// Stored by the version before, which did not keep the past.
		carried, err := b.Carried.Add(back)
		if err != nil {
			return err
		}
		b.Carried = max(b.Carried, min(carried, b.CarryOver))
		return nil
	}
	var err error
	for ; i < len(b.Past) && back != 0; i++ {
		p := &b.Past[i]
		before := min(p.Left, p.CarryOver)
		if p.Left, err = p.Left.Add(back); err != nil {
			return err
		}
		back = min(p.Left, p.CarryOver) - before
	}
	b.Carried, err = b.Carried.Add(back)
	return err
}

// UnusedFor is how long an account is kept that nobody uses any more: its periods
// run out, and then what is remembered of jobs. 0 is for ever: something is open,
// or goes on into further periods.
func (s *State) UnusedFor(now time.Time) time.Duration {
	if len(s.Reservations) > 0 || len(s.Buckets) == 0 {
		return 0
	}
	var last time.Time
	for name, newest := range s.Buckets {
		for _, b := range newest.all() {
			bal, err := s.left(name, b, b.Start, b.End)
			if err != nil || b.End.IsZero() || b.CarryOver != 0 || bal.Left < 0 {
				return 0
			}
			if b.End.After(last) {
				last = b.End
			}
		}
	}
	return max(0, last.Sub(now)) + keepUnused
}
