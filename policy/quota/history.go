package quota

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"strconv"
)

// told is an entry of an account.
type told struct {
	life string
	seq  uint64
}

// life names a new account: one of the same name may have been there before, and
// its entries have the same numbers.
func (l *Ledger) life(key string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lives++
	return strconv.FormatUint(maphash.String(l.seed, key+"\x00"+strconv.FormatUint(l.lives, 10)), 36)
}

// msgID is that of an entry of an account.
func (s *state) msgID(key string, seq uint64) string {
	if s.Life == "" { // the account is older than lives are
		return fmt.Sprintf("%s:%d", key, seq)
	}
	return fmt.Sprintf("%s:%s:%d", key, s.Life, seq)
}

// flush publishes the entries of an account that are not surely published, and
// takes those that are out of the value in memory.
func (l *Ledger) flush(ctx context.Context, key string, s *state) error {
	l.mu.Lock()
	done := l.published[key]
	l.mu.Unlock()
	if done.life != s.Life {
		done = told{life: s.Life}
	}
	for len(s.Outbox) > 0 {
		e := &s.Outbox[0]
		if e.Seq > done.seq {
			body, err := json.Marshal(e)
			if err == nil {
				err = l.history.PublishLedger(ctx, key, s.msgID(key, e.Seq), body)
			}
			if err != nil {
				return fmt.Errorf("publish ledger entry: %w", err)
			}
			done.seq = e.Seq
		}
		s.Outbox = s.Outbox[1:]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.published) > 100_000 {
		clear(l.published)
	}
	if was := l.published[key]; was.life != done.life || was.seq < done.seq {
		l.published[key] = done
	}
	return nil
}

// Damaged is the error of Open and Erase when accounts can't be read. Everything else was
// done.
type Damaged struct {
	// Keys are those of the accounts.
	Keys []string
	// Err is what is wrong with the first.
	Err error
}

func (d *Damaged) Error() string {
	if len(d.Keys) == 1 {
		return fmt.Sprintf("the account %s can't be read: %v", d.Keys[0], d.Err)
	}
	return fmt.Sprintf("%d accounts can't be read, the first is %s: %v", len(d.Keys), d.Keys[0], d.Err)
}

// Unwrap returns Err.
func (d *Damaged) Unwrap() error { return d.Err }

func (d *Damaged) add(key string, rev uint64, err error) {
	if d.Keys = append(d.Keys, key); d.Err == nil {
		d.Err = fmt.Errorf("read account at revision %d: %w", rev, err)
	}
}

// orNil is d as an error, if there is anything in it.
func (d *Damaged) orNil() error {
	if d.Err == nil {
		return nil
	}
	return d
}

// Open calls fn with every open reservation, once for each account that pays. It
// publishes what a process that died left in an outbox. An account that can't be
// read is left out, and named in the error, a *Damaged, when the others are done.
func (l *Ledger) Open(ctx context.Context, fn func(Account, Reservation) error) error {
	var damaged Damaged
	err := l.kv.Each(ctx, ">", func(key string, value []byte, rev uint64) error {
		a, err := ParseAccount(key)
		var s *state
		if err == nil {
			s, err = decode(value)
		}
		if err != nil {
			damaged.add(key, rev, err)
			return nil
		}
		if err := l.flush(ctx, key, s); err != nil {
			return err
		}
		for _, r := range s.Reservations {
			if err := fn(a, *r); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = damaged.orNil()
	}
	return err
}
