package quota

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrOpen says that jobs of a person are still being paid for.
var ErrOpen = errors.New("jobs are still being paid for")

// Erased stands where a person's id was.
const Erased = "erased"

// Erase takes a person out of all accounts. Of their own account what was spent in
// the periods that run stays, without jobs or history, until these periods are
// over, or they could spend it again; unless forget is true. It is ErrOpen while a
// reservation is open. An id counts in any case of its letters. Nothing is told to the
// history. Doing it again changes nothing more. Accounts that can't be read may tell of the person:
// they are named in the error, a *Damaged, when the others are done.
func (l *Ledger) Erase(ctx context.Context, owner string, forget bool, now time.Time) (changed int, err error) {
	var keys []string
	var damaged Damaged
	err = l.kv.Each(ctx, ">", func(key string, value []byte, rev uint64) error {
		s, err := decode(value)
		if err != nil {
			damaged.add(key, rev, err)
			return nil
		}
		if s.owes(owner) {
			return ErrOpen
		}
		if strings.EqualFold(key, owner) || s.tells(owner) {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		ok, err := l.eraseOne(ctx, key, owner, forget, now)
		if err != nil {
			return changed, err
		}
		if ok {
			changed++
		}
	}
	return changed, damaged.orNil()
}

// maxEraseTries is how often an account is erased anew when another was faster.
const maxEraseTries = 16

// eraseOne takes a person out of an account, as it is by now; ok is false when
// nothing of them is in it.
func (l *Ledger) eraseOne(ctx context.Context, key, owner string, forget bool, now time.Time) (ok bool, err error) {
	for range maxEraseTries {
		value, rev, err := l.kv.Get(ctx, key)
		if err != nil || rev == 0 {
			return false, err
		}
		s, err := decode(value)
		if err != nil {
			return false, fmt.Errorf("read account at revision %d: %w", rev, err)
		}
		var ttl time.Duration
		switch {
		case s.owes(owner):
			return false, ErrOpen
		case strings.EqualFold(key, owner):
			s, ttl = s.bare(forget, now)
		case s.tells(owner):
			s.anonymise(owner)
		default:
			return false, nil
		}
		if value, err = json.Marshal(s); err != nil {
			return false, fmt.Errorf("encode account: %w", err)
		}
		_, ok, err := l.kv.CompareAndSet(ctx, key, value, rev, ttl)
		if err != nil {
			return false, fmt.Errorf("store account: %w", err)
		}
		if ok {
			return true, nil
		}
	}
	return false, fmt.Errorf("%w: the account is changed all the while", ErrOpen)
}

// Redact has hide change the words of entries that an account still has for the history: who
// did it, and why. They stay there until the account is changed the next time, also those
// that the history has. Accounts that can't be read are left; Erase names them.
func (l *Ledger) Redact(ctx context.Context, hide func(text string) string, now time.Time) (changed int, err error) {
	var keys []string
	err = l.kv.Each(ctx, ">", func(key string, value []byte, _ uint64) error {
		if s, err := decode(value); err == nil && s.redact(hide) {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		ok, err := l.redactOne(ctx, key, hide, now)
		if err != nil {
			return changed, err
		}
		if ok {
			changed++
		}
	}
	return changed, nil
}

// redactOne has hide change the words of an account, as it is by now; ok is false when there
// is nothing to change.
func (l *Ledger) redactOne(ctx context.Context, key string, hide func(string) string, now time.Time) (ok bool, err error) {
	for range maxEraseTries {
		value, rev, err := l.kv.Get(ctx, key)
		if err != nil || rev == 0 {
			return false, err
		}
		s, err := decode(value)
		if err != nil {
			return false, fmt.Errorf("read account at revision %d: %w", rev, err)
		}
		if !s.redact(hide) {
			return false, nil
		}
		if value, err = json.Marshal(s); err != nil {
			return false, fmt.Errorf("encode account: %w", err)
		}
		_, ok, err := l.kv.CompareAndSet(ctx, key, value, rev, s.unusedFor(now))
		if err != nil {
			return false, fmt.Errorf("store account: %w", err)
		}
		if ok {
			return true, nil
		}
	}
	return false, ErrBusy
}

// redact has hide change the words of the entries in the outbox.
func (s *state) redact(hide func(string) string) (changed bool) {
	for i := range s.Outbox {
		e := &s.Outbox[i]
		by, why := hide(e.By), hide(e.Why)
		changed = changed || by != e.By || why != e.Why
		e.By, e.Why = by, why
	}
	return changed
}

// owes reports whether a reservation of a person is open.
func (s *state) owes(owner string) bool {
	for _, r := range s.Reservations {
		if strings.EqualFold(r.Owner, owner) {
			return true
		}
	}
	return false
}

// tells reports whether what ended on the account tells of a person.
func (s *state) tells(owner string) bool {
	return slices.ContainsFunc(s.Refunded, func(r refunded) bool { return strings.EqualFold(r.Owner, owner) }) ||
		slices.ContainsFunc(s.Outbox, func(e Entry) bool {
			return strings.EqualFold(e.Owner, owner) || strings.EqualFold(e.By, owner)
		})
}

// bare is what has to stay of a person's own account, and for how long.
func (s *state) bare(forget bool, now time.Time) (*state, time.Duration) {
	out, ttl := &state{Seq: s.Seq, Life: s.Life}, time.Second
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

// anonymise takes a person out of an account that others share.
func (s *state) anonymise(owner string) {
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
