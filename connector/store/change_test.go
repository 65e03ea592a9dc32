package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/store"
)

type counter struct {
	N int `json:"n"`
}

// contended is a bucket in which others are faster a number of times, and count one each time.
type contended struct {
	store.KV
	others, writes int
}

func (k *contended) CompareAndSet(
	ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, bool, error) {
	k.writes++
	if k.others > 0 {
		k.others--
		over := k.KV
		if err := store.Change(ctx, over, key, ttl, func(c *counter) bool { c.N++; return true }); err != nil {
			return 0, false, err
		}
	}
	return k.KV.CompareAndSet(ctx, key, value, revision, ttl)
}

// A change is made on what others have stored meanwhile, none is lost, and it is given up after a number of
// tries; what can't be read counts as nothing; what did not change is not written.
func TestChange(t *testing.T) {
	ctx, kv := t.Context(), bustest.Open(t).State()
	add := func(c *counter) bool { c.N += 100; return true }
	for _, c := range []struct {
		others, want, writes int
		err                  error
	}{
		{0, 100, 1, nil},
		{store.MaxConflicts - 1, 100 + store.MaxConflicts - 1, store.MaxConflicts, nil},
		{store.MaxConflicts, store.MaxConflicts, store.MaxConflicts, store.ErrConflicts},
	} {
		if err := kv.Put(ctx, "contended", []byte("damaged"), 0); err != nil {
			t.Fatal(err)
		}
		k := &contended{KV: kv, others: c.others}
		if err := store.Change(ctx, k, "contended", 0, add); !errors.Is(err, c.err) || k.writes != c.writes {
			t.Errorf("%d others: %v after %d writes", c.others, err, k.writes)
		}
		if v, _, err := store.Read[counter](ctx, kv, "contended"); err != nil || v.N != c.want {
			t.Errorf("%d others: %d, %v", c.others, v.N, err)
		}
	}
	k := &contended{KV: kv}
	if err := store.Change(ctx, k, "absent", 0, func(*counter) bool { return false }); err != nil || k.writes != 0 {
		t.Errorf("no change: %v after %d writes", err, k.writes)
	}
	down := errors.New("down")
	if err := store.Change(ctx, failing{kv, down}, "absent", 0, add); !errors.Is(err, down) {
		t.Errorf("a store that fails: %v", err)
	}
}

// failing is a bucket that takes no write.
type failing struct {
	store.KV
	err error
}

func (f failing) CompareAndSet(context.Context, string, []byte, uint64, time.Duration) (uint64, bool, error) {
	return 0, false, f.err
}
