package quota

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// ErrOpen says that reservations for jobs of a person are open.
var ErrOpen = errors.New("a reservation for one of their jobs is open")

// Erased stands where a person's id was.
const Erased = "erased"

// Erase takes a person out of the account, and says whether anything was there and how long
// the account is kept; 0 is for ever. Of their own account what was spent in the periods that
// run stays until these are over, unless forget is true. It is ErrOpen while a reservation of
// theirs is open. An id counts in any case of its letters.
func (s *State) Erase(key, owner string, forget bool, now time.Time) (changed bool, ttl time.Duration, err error) {
	switch {
	case s.owes(owner):
		return false, 0, ErrOpen
	case strings.EqualFold(key, owner):
		*s, ttl = s.spentOnly(forget, now)
		return true, ttl, nil
	case s.mentions(owner):
		s.anonymise(owner)
		return true, 0, nil
	}
	return false, 0, nil
}

// Redact has hide change the words of the entries in the outbox.
func (s *State) Redact(hide func(string) string) (changed bool) {
	for i := range s.Outbox {
		e := &s.Outbox[i]
		by, why := hide(e.By), hide(e.Why)
		changed = changed || by != e.By || why != e.Why
		e.By, e.Why = by, why
	}
	return changed
}

// spentOnly is what has to stay of a person's own account, and for how long.
func (s *State) spentOnly(forget bool, now time.Time) (State, time.Duration) {
	out, ttl := State{Seq: s.Seq, Life: s.Life}, time.Second
	for name, b := range s.Buckets {
		var p Period
		if forget || p.UnmarshalText([]byte(name)) != nil {
			continue
		}
		if _, end := p.Window(b.Start); end.After(now) {
			if out.Buckets == nil {
				out.Buckets = map[string]*bucket{}
			}
			out.Own, out.Adjusted = s.Own, s.Adjusted
			out.Buckets[name], ttl = b, max(ttl, end.Sub(now))
		}
	}
	return out, ttl
}

// owes reports whether a reservation of a person is open.
func (s *State) owes(owner string) bool {
	for _, r := range s.Reservations {
		if strings.EqualFold(r.Owner, owner) {
			return true
		}
	}
	return false
}

// mentions reports whether what ended on the account tells of a person.
func (s *State) mentions(owner string) bool {
	return slices.ContainsFunc(s.Refunded, func(r refunded) bool { return strings.EqualFold(r.Owner, owner) }) ||
		slices.ContainsFunc(s.Outbox, func(e Entry) bool {
			return strings.EqualFold(e.Owner, owner) || strings.EqualFold(e.By, owner)
		})
}

// anonymise takes a person out of an account that others share.
func (s *State) anonymise(owner string) {
	for i := range s.Refunded {
		if strings.EqualFold(s.Refunded[i].Owner, owner) {
			s.Refunded[i].Owner = Erased
		}
	}
	for i := range s.Outbox {
		if strings.EqualFold(s.Outbox[i].Owner, owner) {
			s.Outbox[i].Owner = Erased
		}
		if strings.EqualFold(s.Outbox[i].By, owner) {
			s.Outbox[i].By = Erased
		}
	}
}
