package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// MaxConflicts is how often a change is made anew after a concurrent one. Each conflict is another's
// success, and more than this many don't act on one key at once: there are at most eight replicas, and
// at one reader at most ten unknown badges are shown before it locks.
const MaxConflicts = 16

// ErrConflicts says that others changed a value at each of MaxConflicts tries: nothing was stored.
var ErrConflicts = errors.New("too many concurrent updates")

// Read returns the value of a key, which is stored in JSON. The value is zero, as one that is absent,
// when it can't be read as a T: whoever can't go on with that has to look at what is stored.
func Read[T any](ctx context.Context, kv KV, key string) (v T, revision uint64, err error) {
	raw, revision, err := kv.Get(ctx, key)
	if err == nil && revision != 0 && json.Unmarshal(raw, &v) != nil {
		v = *new(T) // a part may have been decoded
	}
	return v, revision, err
}

// Change reads the value of a key, as Read does, and stores what fn makes of it, for as long as life
// (0: for good), unless fn reports false. fn is called anew after each concurrent change, with the value as
// it is then. The error is ErrConflicts or the store's; after the latter the value may be stored.
func Change[T any](ctx context.Context, kv KV, key string, life time.Duration, fn func(v *T) bool) error {
	for range MaxConflicts {
		v, revision, err := Read[T](ctx, kv, key)
		if err != nil || !fn(&v) {
			return err
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encode %T: %w", v, err)
		}
		if _, ok, err := kv.CompareAndSet(ctx, key, raw, revision, life); err != nil || ok {
			return err
		}
	}
	return ErrConflicts
}
