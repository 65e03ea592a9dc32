package ledger

import (
	"context"
	"fmt"

	"pullprint/policy/quota"
)

// Damaged is the error of Open and Erase when accounts can't be read. Everything else was
// done.
type Damaged struct {
	// Keys are those of the accounts.
	Keys []string
	// Err is what is wrong with the first.
	Err error
}

// Error implements error.
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
func (l *Ledger) Open(ctx context.Context, fn func(quota.Account, quota.Reservation) error) error {
	var damaged Damaged
	err := l.kv.Each(ctx, ">", func(key string, value []byte, rev uint64) error {
		a, err := quota.ParseAccount(key)
		var s *quota.State
		if err == nil {
			s, err = quota.Decode(value)
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

// Check reports with an error what is stored under a key and can't be read.
func Check(key string, value []byte) error {
	_, err := quota.ParseAccount(key)
	if err == nil {
		_, err = quota.Decode(value)
	}
	if err != nil {
		return fmt.Errorf("account %s: %w", key, err)
	}
	return nil
}
