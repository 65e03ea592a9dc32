package quota

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
// reservation is open. Nothing is told to the history. Doing it again changes
// nothing more.
func (l *Ledger) Erase(ctx context.Context, owner string, forget bool, now time.Time) (changed int, err error) {
	type found struct {
		key string
		rev uint64
		s   *state
	}
	var list []found
	err = l.kv.Each(ctx, ">", func(key string, value []byte, rev uint64) error {
		if key != owner && !strings.Contains(string(value), owner) {
			return nil
		}
		s := new(state)
		if err := json.Unmarshal(value, s); err != nil {
			return fmt.Errorf("read account at revision %d: %w", rev, err)
		}
		for _, r := range s.Reservations {
			if r.Owner == owner {
				return ErrOpen
			}
		}
		list = append(list, found{key, rev, s})
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, f := range list {
		var ttl time.Duration
		if f.key == owner {
			f.s, ttl = f.s.bare(forget, now)
		} else {
			f.s.anonymise(owner)
		}
		value, err := json.Marshal(f.s)
		if err != nil {
			return changed, fmt.Errorf("encode account: %w", err)
		}
		_, ok, err := l.kv.CompareAndSet(ctx, f.key, value, f.rev, ttl)
		if err != nil {
			return changed, fmt.Errorf("store account: %w", err)
		}
		if !ok {
			return changed, fmt.Errorf("%w: the account was changed meanwhile", ErrOpen)
		}
		changed++
	}
	return changed, nil
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
		if s.Refunded[i].Owner == owner {
			s.Refunded[i].Owner = Erased
		}
	}
	for i := range s.Outbox {
		if s.Outbox[i].Owner == owner {
			s.Outbox[i].Owner = Erased
		}
	}
}
