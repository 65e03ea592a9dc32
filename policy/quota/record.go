package quota

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// load reads an account; one that is not there is empty.
func (l *Ledger) load(ctx context.Context, key string) (*state, uint64, error) {
	value, rev, err := l.kv.Get(ctx, key)
	if err != nil {
		return nil, 0, fmt.Errorf("read account: %w", err)
	}
	if rev == 0 {
		return new(state), 0, nil
	}
	s, err := decode(value)
	if err != nil {
		return nil, 0, fmt.Errorf("read account at revision %d: %w", rev, err)
	}
	return s, rev, nil
}

// ErrDamaged says that what is stored of an account can't be read.
var ErrDamaged = errors.New("what is stored of the account can't be read")

// decode reads what is stored of an account. The error is an ErrDamaged: an account that
// was taken for one without its parts would be an unspent one.
func decode(value []byte) (*state, error) {
	s := new(state)
	if err := json.Unmarshal(value, s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	damaged := s.Seq == 0 // each change counts it up
	for job, r := range s.Reservations {
		damaged = damaged || r == nil || r.Job != job
	}
	for _, b := range s.Buckets {
		damaged = damaged || b == nil
	}
	if damaged {
		return nil, fmt.Errorf("%w: parts of it are missing", ErrDamaged)
	}
	return s, nil
}

// CheckRecord reports with an error what is stored under a key and can't be read.
func CheckRecord(key string, value []byte) error {
	_, err := ParseAccount(key)
	if err == nil {
		_, err = decode(value)
	}
	if err != nil {
		return fmt.Errorf("account %s: %w", key, err)
	}
	return nil
}
