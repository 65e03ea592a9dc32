package connector

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"pullprint/trigger/graph"
)

// MaxDelegation is the longest time for which an owner can let another person
// release their jobs.
const MaxDelegation = 31 * 24 * time.Hour

// StateKV is what Delegations needs of the state bucket; *bus.KV is one.
type StateKV interface {
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	CompareAndSet(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (newRevision uint64, swapped bool, err error)
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
	// By is who said so: the name of an API token, or the owner.
	By string `json:"by"`
}

// Delegations remembers who may release whose jobs. Every change is durable
// before it returns.
type Delegations struct{ kv StateKV }

// NewDelegations keeps them in kv.
func NewDelegations(kv StateKV) *Delegations { return &Delegations{kv} }

const delegationPrefix = "delegation."

func (d Delegation) key() string { return delegationPrefix + d.To + "." + d.Owner }

// Put stores a delegation, or changes how long an earlier one holds.
func (s *Delegations) Put(ctx context.Context, d Delegation) error {
	left := d.Expires.Sub(d.Since)
	switch {
	case !graph.ValidID(d.Owner) || !graph.ValidID(d.To):
		return fmt.Errorf("%w: owner and delegate are Entra object ids", ErrInvalid)
	case d.Owner == d.To:
		return fmt.Errorf("%w: owner and delegate are the same person", ErrInvalid)
	case left <= 0 || left > MaxDelegation:
		return fmt.Errorf("%w: a delegation ends within %d days, and not in the past", ErrInvalid, MaxDelegation/(24*time.Hour))
	}
	value, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode delegation: %w", err)
	}
	for range maxConflicts {
		_, rev, err := s.kv.Get(ctx, d.key())
		if err != nil {
			return fmt.Errorf("read delegation: %w", err)
		}
		_, ok, err := s.kv.CompareAndSet(ctx, d.key(), value, rev, left.Round(time.Second)+time.Second)
		if err != nil {
			return fmt.Errorf("store delegation: %w", err)
		}
		if ok {
			return nil
		}
	}
	return errBusy
}

// Remove ends a delegation; ok is false when there is none.
func (s *Delegations) Remove(ctx context.Context, owner, to string) (ok bool, err error) {
	key := Delegation{Owner: owner, To: to}.key()
	for range maxConflicts {
		_, rev, err := s.kv.Get(ctx, key)
		if err != nil || rev == 0 {
			return false, err
		}
		if ok, err := s.kv.Delete(ctx, key, rev); err != nil || ok {
			return ok, err
		}
	}
	return false, errBusy
}

// Of lists the owners who let to release their jobs now.
func (s *Delegations) Of(ctx context.Context, to string, now time.Time) (owners []string, err error) {
	if !graph.ValidID(to) {
		return nil, nil
	}
	err = s.each(ctx, delegationPrefix+to+".*", func(d Delegation) {
		if now.Before(d.Expires) {
			owners = append(owners, d.Owner)
		}
	})
	return owners, err
}

// List lists all that hold now.
func (s *Delegations) List(ctx context.Context, now time.Time) (list []Delegation, err error) {
	err = s.each(ctx, delegationPrefix+">", func(d Delegation) {
		if now.Before(d.Expires) {
			list = append(list, d)
		}
	})
	return list, err
}

func (s *Delegations) each(ctx context.Context, filter string, fn func(Delegation)) error {
	err := s.kv.Each(ctx, filter, func(_ string, value []byte, rev uint64) error {
		var d Delegation
		if err := json.Unmarshal(value, &d); err != nil {
			return fmt.Errorf("delegation at revision %d: %w", rev, err)
		}
		fn(d)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read delegations: %w", err)
	}
	return nil
}
