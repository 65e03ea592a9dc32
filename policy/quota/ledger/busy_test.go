package ledger_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
)

// contested is a store in which others are always faster, so many times.
type contested struct {
	ledger.KV
	times, writes int
}

func (c *contested) CompareAndSet(
	ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, bool, error) {
	if c.writes++; c.writes <= c.times {
		return 0, false, nil
	}
	return c.KV.CompareAndSet(ctx, key, value, revision, ttl)
}

// An account that others change all the while is given up, however long the caller has, and
// nothing is changed then.
func TestContestedAccount(t *testing.T) {
	lab := quotatest.Weekly("center.lab", 10)
	kv := &contested{KV: &quotatest.Memory{}, times: 10_000}
	l := ledger.New(kv, &quotatest.History{}, rand.Text)
	if err := l.Reserve(context.Background(), quotatest.Charge("p/1", "a", 4, lab)); !errors.Is(err, ledger.ErrBusy) || kv.writes > 1000 {
		t.Errorf("%v after %d writes", err, kv.writes)
	}
	*kv = contested{KV: kv.KV, times: 100}
	if err := l.Reserve(t.Context(), quotatest.Charge("p/2", "a", 4, lab)); err != nil || kv.writes != 101 {
		t.Errorf("%v after %d writes", err, kv.writes)
	}
	if bal, err := l.Balances(t.Context(), []quota.Claim{lab}, quotatest.Noon); err != nil || bal[0].Reserved != 4*quota.Unit {
		t.Errorf("%+v %v", bal, err)
	}
}
