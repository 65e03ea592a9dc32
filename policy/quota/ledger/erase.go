package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pullprint/policy/quota"
)

// Erase takes a person out of all accounts. Of their own account what was spent in
// the periods that run stays, without jobs or history, until these periods are
// over, or they could spend it again; unless forget is true. It is quota.ErrOpen while a
// reservation is open. An id counts in any case of its letters. Nothing is told to the
// history. Doing it again changes nothing more. Accounts that can't be read may tell of the person:
// they are named in the error, a *Damaged, when the others are done.
func (l *Ledger) Erase(ctx context.Context, owner string, forget bool, now time.Time) (changed int, err error) {
	erase := func(key string, s *quota.State) (bool, time.Duration, error) {
		return s.Erase(key, owner, forget, now)
	}
	changed, err = l.rewriteAll(ctx, erase)
	if errors.Is(err, ErrBusy) {
		err = fmt.Errorf("%w: %w", quota.ErrOpen, err)
	}
	return changed, err
}

// Redact has hide change the words of entries that an account still has for the history: who
// did it, and why. They stay there until the account is changed the next time, also those
// that the history has. Accounts that can't be read are left; Erase names them.
func (l *Ledger) Redact(ctx context.Context, hide func(text string) string, now time.Time) (changed int, err error) {
	changed, err = l.rewriteAll(ctx, func(_ string, s *quota.State) (bool, time.Duration, error) {
		return s.Redact(hide), s.UnusedFor(now), nil
	})
	if errors.As(err, new(*Damaged)) {
		err = nil
	}
	return changed, err
}

// rewriteFunc changes what is stored of an account, and says whether it did and how long the
// account is kept; 0 is for ever.
type rewriteFunc func(key string, s *quota.State) (changed bool, ttl time.Duration, err error)

// rewriteAll changes all accounts without an entry for the history; none is changed when fn
// has an error for one. Those that can't be read are in the error, a *Damaged, when the others
// are done.
func (l *Ledger) rewriteAll(ctx context.Context, fn rewriteFunc) (changed int, err error) {
	var keys []string
	var damaged Damaged
	err = l.kv.Each(ctx, ">", func(key string, value []byte, rev uint64) error {
		s, err := quota.Decode(value)
		if err != nil {
			damaged.add(key, rev, err)
			return nil
		}
		ok, _, err := fn(key, s)
		if ok {
			keys = append(keys, key)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		ok, err := l.rewrite(ctx, key, fn)
		if err != nil {
			return changed, err
		}
		if ok {
			changed++
		}
	}
	return changed, damaged.orNil()
}

// maxRewrites is how often an account is rewritten anew when another was faster: what erases
// runs when the daemon has time, and comes again.
const maxRewrites = 16

// rewrite changes an account as it is by now; ok is false when there is nothing to change.
func (l *Ledger) rewrite(ctx context.Context, key string, fn rewriteFunc) (ok bool, err error) {
	for range maxRewrites {
		s, rev, err := l.load(ctx, key)
		if err != nil || rev == 0 {
			return false, err
		}
		changed, ttl, err := fn(key, s)
		if err != nil || !changed {
			return false, err
		}
		if ok, err = l.store(ctx, key, s, rev, ttl); err != nil || ok {
			return ok, err
		}
	}
	return false, ErrBusy
}
