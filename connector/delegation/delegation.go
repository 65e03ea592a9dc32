// Package delegation stores who may release whose jobs, and until when.
package delegation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"pullprint/connector/job"
	"pullprint/connector/store"
	"pullprint/trigger/graph"
)

// MaxLength is the longest time for which an owner can let another person
// release their jobs.
const MaxLength = 31 * 24 * time.Hour

// KV is what a Store needs of the state bucket; *stored.KV is one.
type KV interface {
	store.KV
	Delete(ctx context.Context, key string, revision uint64) (bool, error)
	Each(ctx context.Context, filter string, fn func(key string, value []byte, revision uint64) error) error
}

// Delegation lets To release the jobs of Owner until it expires. The policy of
// the owner applies.
type Delegation struct {
	Owner   string    `json:"owner"`
	To      string    `json:"to"`
	Expires time.Time `json:"expires"`
	Since   time.Time `json:"since"`
	// By is who made it: the name of an API token, or the owner.
	By string `json:"by"`
	// Damaged is true when the record can't be read: the delegation is not in force, and
	// is listed so that it can be removed.
	Damaged bool `json:"damaged,omitempty"`
}

// Store stores who may release whose jobs. Every change is durable before it returns.
type Store struct {
	kv KV
	// damaged, when set, is called with the key of a record that can't be read.
	damaged func(key string)
}

// New returns a Store that keeps delegations in kv.
func New(kv KV) *Store { return &Store{kv: kv} }

// Telling is a copy of s that calls damaged with the key of each record that can't be read.
func (s *Store) Telling(damaged func(key string)) *Store {
	return &Store{kv: s.kv, damaged: damaged}
}

// Prefix is what the keys of delegations begin with in the state bucket.
const Prefix = "delegation."

func (d Delegation) key() string { return Prefix + d.To + "." + d.Owner }

// check makes the ids canonical, and reports with an error what is wrong with a delegation.
func (d *Delegation) check() error {
	left := d.Expires.Sub(d.Since)
	owner, ok := graph.CanonicalGUID(d.Owner)
	to, ok2 := graph.CanonicalGUID(d.To)
	switch d.Owner, d.To = owner, to; {
	case !ok || !ok2:
		return fmt.Errorf("%w: owner and delegate are Entra object ids", job.ErrInvalid)
	case d.Owner == d.To:
		return fmt.Errorf("%w: owner and delegate are the same person", job.ErrInvalid)
	case left <= 0 || left > MaxLength:
		return fmt.Errorf("%w: expires must be in the future, and at most %d days from now", job.ErrInvalid,
			MaxLength/(24*time.Hour))
	}
	return nil
}

// Put stores a delegation, or changes the end of an existing one, also of one that an earlier
// version stored with ids in another case.
func (s *Store) Put(ctx context.Context, d Delegation) error {
	if err := d.check(); err != nil {
		return err
	}
	keys, err := s.keys(ctx, d)
	if err != nil {
		return err
	}
	for _, key := range keys { // the old one would remain in force beside the new one
		if key == d.key() {
			continue
		}
		if _, err := s.remove(ctx, key); err != nil {
			return fmt.Errorf("remove the delegation of before: %w", err)
		}
	}
	life := d.Expires.Sub(d.Since).Round(time.Second) + time.Second
	err = store.Change(ctx, s.kv, d.key(), life, func(now *Delegation) bool {
		*now = d
		return true
	})
	if err != nil {
		return fmt.Errorf("store delegation: %w", err)
	}
	return nil
}

// Remove ends a delegation, also one that an earlier version stored with ids in
// another case; ok is false when there is none.
func (s *Store) Remove(ctx context.Context, owner, to string) (ok bool, err error) {
	keys, err := s.keys(ctx, Delegation{Owner: owner, To: to})
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		removed, err := s.remove(ctx, key)
		if err != nil {
			return ok, err
		}
		ok = ok || removed
	}
	return ok, nil
}

// keys are all keys of a delegation, with ids in any case.
func (s *Store) keys(ctx context.Context, d Delegation) (keys []string, err error) {
	err = s.kv.Each(ctx, Prefix+">", func(key string, _ []byte, _ uint64) error {
		if strings.EqualFold(key, d.key()) {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read delegations: %w", err)
	}
	return keys, nil
}

func (s *Store) remove(ctx context.Context, key string) (ok bool, err error) {
	for range store.MaxConflicts {
		_, rev, err := s.kv.Get(ctx, key)
		if err != nil || rev == 0 {
			return false, err
		}
		if ok, err := s.kv.Delete(ctx, key, rev); err != nil || ok {
			return ok, err
		}
	}
	return false, store.ErrConflicts
}

// Of lists the owners whose jobs to may release now.
func (s *Store) Of(ctx context.Context, to string, now time.Time) (owners []string, err error) {
	to, ok := graph.CanonicalGUID(to)
	if !ok {
		return nil, nil
	}
	// An earlier version stored ids as they were typed: in capitals, if not as Entra
	// writes them.
	for _, id := range slices.Compact([]string{to, strings.ToUpper(to)}) {
		err = s.each(ctx, Prefix+id+".*", func(d Delegation) {
			if !d.Damaged && now.Before(d.Expires) && !slices.Contains(owners, d.Owner) {
				owners = append(owners, d.Owner)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return owners, nil
}

// With lists the delegations in force of one person: those by which others may release the person's
// jobs, and those by which the person may release the jobs of others.
func (s *Store) With(ctx context.Context, person string, now time.Time) (by, to []Delegation, err error) {
	person, ok := graph.CanonicalGUID(person)
	if !ok {
		return nil, nil, nil
	}
	for _, id := range slices.Compact([]string{person, strings.ToUpper(person)}) { // as in Of
		err = s.each(ctx, Prefix+"*."+id, func(d Delegation) {
			if !d.Damaged && now.Before(d.Expires) {
				by = append(by, d)
			}
		})
		if err != nil {
			return nil, nil, err
		}
		err = s.each(ctx, Prefix+id+".*", func(d Delegation) {
			if !d.Damaged && now.Before(d.Expires) {
				to = append(to, d)
			}
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return by, to, nil
}

// List lists all delegations in force, and those that can't be read.
func (s *Store) List(ctx context.Context, now time.Time) (list []Delegation, err error) {
	err = s.each(ctx, Prefix+">", func(d Delegation) {
		if d.Damaged || now.Before(d.Expires) {
			list = append(list, d)
		}
	})
	return list, err
}

// Read reads what is stored under a key; ok is false when it is damaged. Who it is from and for is in
// the key: a record that says something else, or can't be read, is damaged.
func Read(key string, value []byte) (d Delegation, ok bool) {
	to, owner, _ := strings.Cut(strings.TrimPrefix(key, Prefix), ".")
	ok = json.Unmarshal(value, &d) == nil && strings.EqualFold(d.To, to) && strings.EqualFold(d.Owner, owner) && !d.Damaged
	if !ok {
		d = Delegation{Damaged: true}
	}
	d.Owner, d.To = strings.ToLower(owner), strings.ToLower(to)
	return d, ok
}

// each calls fn with every delegation whose key matches.
func (s *Store) each(ctx context.Context, filter string, fn func(Delegation)) error {
	err := s.kv.Each(ctx, filter, func(key string, value []byte, _ uint64) error {
		d, ok := Read(key, value)
		if !ok && s.damaged != nil {
			s.damaged(key)
		}
		fn(d)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read delegations: %w", err)
	}
	return nil
}
