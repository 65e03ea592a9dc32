package ledger_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
)

// rival is a store in which another changes an account before some of our writes.
type rival struct {
	*quotatest.Memory
	times int // how often the other is faster
}

func (c *rival) CompareAndSet(ctx context.Context, key string, body []byte, revision uint64, ttl time.Duration) (uint64, bool, error) {
	if c.times > 0 {
		c.times--
		value, at, err := c.Get(ctx, key)
		if err == nil {
			_, _, err = c.Memory.CompareAndSet(ctx, key, value, at, 0)
		}
		if err != nil {
			return 0, false, err
		}
	}
	return c.Memory.CompareAndSet(ctx, key, body, revision, ttl)
}

// A person is erased also from an account that is changed at the same moment, and one that is
// changed all the while is told to be busy.
func TestEraseContested(t *testing.T) {
	kv, h := &rival{Memory: &quotatest.Memory{}}, &quotatest.History{Fail: true}
	l := ledger.New(kv, h, rand.Text)
	lab, now := quotatest.Weekly("center.lab", 100).Account, time.Now()
	if err := l.Adjust(t.Context(), lab, 5*quota.Unit, quota.Note{By: "ada", Why: "a gift", At: now}); err != nil {
		t.Fatal(err)
	}
	kv.times = 1000
	if _, err := l.Erase(t.Context(), "ada", false, now); !errors.Is(err, ledger.ErrBusy) {
		t.Errorf("changed all the while: %v", err)
	}
	if kv.times < 1000-100 {
		t.Errorf("tried %d times", 1000-kv.times)
	}
	kv.times = 1
	if n, err := l.Erase(t.Context(), "ada", false, now); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	value, _, err := kv.Get(t.Context(), lab.Key())
	if err != nil || strings.Contains(string(value), `"ada"`) {
		t.Errorf("%s, %v", value, err)
	}
}

// The names of a job and of an attempt are bounded: they are stored on every account that pays.
func TestNamesOfCharges(t *testing.T) {
	l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
	long, claim := strings.Repeat("n", 256), quotatest.Weekly("ada", 10)
	for _, c := range []struct {
		job, attempt string
		ok           bool
	}{{long + "n", "a", false}, {"p/1", long + "n", false}, {long, long, true}} {
		charge := quotatest.Charge(c.job, c.attempt, 1, claim)
		if err := l.Reserve(t.Context(), charge); (err == nil) != c.ok || err != nil && !errors.Is(err, quota.ErrCharge) {
			t.Errorf("job of %d, attempt of %d: %v", len(c.job), len(c.attempt), err)
		}
	}
}
