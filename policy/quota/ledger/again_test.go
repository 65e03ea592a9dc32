package ledger_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
)

// A job that is charged anew in a later period, for another amount, gives back what it
// set aside in the one before: that is carried over as if it had never been reserved.
// When the charge is refused, nothing is.
func TestChargedAnewInTheNextPeriod(t *testing.T) {
	user := quotatest.Weekly("ada", 10)
	user.CarryOver = 4 * quota.Unit
	group := quotatest.Weekly("group.z", 6)
	next := quotatest.Noon.AddDate(0, 0, 7)
	balance := func(l *ledger.Ledger) quota.Balance {
		t.Helper()
		b, err := l.Balances(t.Context(), []quota.Claim{user}, next)
		if err != nil {
			t.Fatal(err)
		}
		return b[0]
	}
	for _, rolled := range []bool{false, true} {
		l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
		if err := l.Reserve(t.Context(), quotatest.Charge("p/1", "arrival", 9, user)); err != nil {
			t.Fatal(err)
		}
		left := 11 * quota.Unit // 10, and 1 of last week
		if rolled {             // another job has begun the week
			other := quotatest.Charge("p/2", "a", 1, user)
			other.Now = next
			if err := l.Reserve(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			left -= quota.Unit
		}
		if b := balance(l); b.Left != left {
			t.Fatalf("rolled %v: %+v", rolled, b)
		}
		again := quotatest.Charge("p/1", "release", 7, group, user)
		again.Now = next
		if err := l.Reserve(t.Context(), again); !errors.As(err, new(*quota.Exhausted)) {
			t.Fatal(err)
		}
		reversed := quotatest.Charge("p/1", "release", 15, user, quotatest.Weekly("zoe", 20))
		reversed.Now = next
		if err := l.Reserve(t.Context(), reversed); !errors.As(err, new(*quota.Exhausted)) {
			t.Fatal(err)
		}
		more := quotatest.Charge("p/1", "release", 10, user, quotatest.Weekly("zoe", 1))
		more.Now = next
		if err := l.Reserve(t.Context(), more); !errors.As(err, new(*quota.Exhausted)) {
			t.Fatal(err)
		}
		if b := balance(l); b.Left != left || b.Carried != quota.Unit {
			t.Errorf("rolled %v: refused charges have changed the account: %+v", rolled, b)
		}
		again.Claims = []quota.Claim{user}
		if err := l.Reserve(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		if b := balance(l); b.Carried != 4*quota.Unit || b.Left != left+3*quota.Unit-7*quota.Unit {
			t.Errorf("rolled %v: %+v; what is not reserved any more is not carried over", rolled, b)
		}
	}
}

// A charge that is refused only when a reservation is to be made smaller changes
// nothing, on no account.
func TestRefusedForLess(t *testing.T) {
	first, second := quotatest.Weekly("ada", 100), quotatest.Weekly("zoe", 100)
	kv := &quotatest.Memory{}
	l := ledger.New(kv, &quotatest.History{}, rand.Text)
	if err := l.Reserve(t.Context(), quotatest.Charge("p/1", "arrival", 10, first, second)); err != nil {
		t.Fatal(err)
	}
	limit := func(to *quota.Amount) {
		t.Helper()
		if err := l.SetLimit(t.Context(), second.Account, to, quota.Note{By: "it", At: quotatest.Noon}); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(l *ledger.Ledger) {
		t.Helper()
		if err := l.Reserve(t.Context(), quotatest.Charge("p/1", "release", 7, first, second)); !errors.As(err, new(*quota.Exhausted)) {
			t.Fatal(err)
		}
		for _, a := range []quota.Account{first.Account, second.Account} {
			v, err := l.View(t.Context(), a)
			if err != nil || len(v.Reservations) != 1 || v.Reservations[0].Attempt != "arrival" ||
				v.Reservations[0].Amount != 10*quota.Unit {
				t.Errorf("%s: %+v, %v", a.Key(), v.Reservations, err)
			}
		}
	}
	five := 5 * quota.Unit
	limit(&five)
	refused(l)
	limit(nil)
	// Lowered when the first account has been changed.
	refused(ledger.New(&beforeWrite{Memory: kv, n: 2, do: func() { limit(&five) }}, &quotatest.History{}, rand.Text))
}

// A charge that one of several accounts refuses leaves the others as they were stored: none
// is made, none is rolled over to a new period, and the history tells of nothing.
func TestRefusedChargeStoresNothing(t *testing.T) {
	for name, lastWeek := range map[string]int64{"new accounts": 0, "accounts of last week": 5} {
		kv, h := &quotatest.Memory{}, &quotatest.History{}
		l := ledger.New(kv, h, rand.Text)
		first, second, third := quotatest.Weekly("ada", 100), quotatest.Weekly("group.y", 100), quotatest.Weekly("group.z", 6)
		if lastWeek > 0 {
			c := quotatest.Charge("p/0", "a", lastWeek, first, second, third)
			c.Now = c.Now.AddDate(0, 0, -7)
			if err := l.Reserve(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		stored := func() (all string) {
			if err := kv.Each(t.Context(), "", func(key string, value []byte, revision uint64) error {
				all += fmt.Sprintf("%s %d %s\n", key, revision, value)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return all + fmt.Sprint(h.Entries(""))
		}
		before := stored()
		for _, job := range []string{"p/0", "p/1"} {
			if err := l.Reserve(t.Context(), quotatest.Charge(job, "b", 7, first, second, third)); !errors.As(err, new(*quota.Exhausted)) {
				t.Fatalf("%s: 7 of 6: %v", job, err)
			}
			if after := stored(); after != before {
				t.Errorf("%s, %s:\n%swas\n%s", name, job, after, before)
			}
		}
	}
}

// beforeWrite does something before the n-th write.
type beforeWrite struct {
	*quotatest.Memory
	n  int
	do func()
}

func (b *beforeWrite) CompareAndSet(
	ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, bool, error) {
	if b.n--; b.n == 0 {
		b.do()
	}
	return b.Memory.CompareAndSet(ctx, key, value, revision, ttl)
}
