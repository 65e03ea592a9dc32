package ledger_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"testing"

	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
)

// A limit that is set, or taken away, in a later period is none of the period before: what
// was spent there by the limit of then is no debt, and what was left goes on.
func TestLimitSetAgainInALaterPeriod(t *testing.T) {
	limit := func(n int64) *quota.Amount { a := quota.Amount(n) * quota.Unit; return &a }
	for name, c := range map[string]struct {
		first, then  *quota.Amount
		spent        int64
		weeks        int // until it is set again
		carried, max quota.Amount
	}{
		"a higher one is taken away":           {limit(50), nil, 30, 1, 4 * quota.Unit, 10 * quota.Unit},
		"a higher one becomes a lower one":     {limit(50), limit(20), 30, 1, 4 * quota.Unit, 20 * quota.Unit},
		"a lower one is taken away":            {limit(5), nil, 3, 1, 2 * quota.Unit, 10 * quota.Unit},
		"a higher one, taken away weeks later": {limit(50), nil, 49, 3, 4 * quota.Unit, 10 * quota.Unit},
	} {
		l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
		claim := quotatest.Weekly("ada", 10)
		claim.CarryOver = 4 * quota.Unit
		if err := l.SetLimit(t.Context(), claim.Account, c.first, quota.Note{By: "it", At: quotatest.Noon}); err != nil {
			t.Fatal(err)
		}
		if err := l.Reserve(t.Context(), quotatest.Charge("p/1", "a", c.spent, claim)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Settle(t.Context(), "p/1", []quota.Account{claim.Account}, quotatest.Noon); err != nil {
			t.Fatal(err)
		}
		later := quotatest.Noon.AddDate(0, 0, 7*c.weeks)
		if err := l.SetLimit(t.Context(), claim.Account, c.then, quota.Note{By: "it", At: later}); err != nil {
			t.Fatal(err)
		}
		b, err := l.Balances(t.Context(), []quota.Claim{claim}, later)
		if err != nil || b[0].Carried != c.carried || b[0].Limit != c.max || b[0].Left != c.max+c.carried {
			t.Errorf("%s: carried %s, limit %s, left %s (%v), want %s carried of a limit of %s", name, b[0].Carried, b[0].Limit,
				b[0].Left, err, c.carried, c.max)
		}
	}
}

// An account that is topped up each day takes each of them: those of periods that are over
// make room. Those that count still are never forgotten.
func TestToppedUpEachDay(t *testing.T) {
	period, err := quota.ParsePeriod(quota.Day, "", quotatest.Noon.Location())
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
	claim := quotatest.Weekly("ada", 10)
	claim.Period = period
	charge := quotatest.Charge("p/1", "a", 11, claim)
	for day := range 300 {
		charge.Now = quotatest.Noon.AddDate(0, 0, day)
		if err := l.Adjust(t.Context(), claim.Account, quota.Unit, quota.Note{By: "till", At: charge.Now}); err != nil {
			t.Fatalf("on day %d: %v", day, err)
		}
		charge.Job = "p/" + charge.Now.Format("0102")
		if err := l.Reserve(t.Context(), charge); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Settle(t.Context(), charge.Job, []quota.Account{claim.Account}, charge.Now); err != nil {
			t.Fatal(err)
		}
	}
	for err == nil { // within one day there is a bound
		err = l.Adjust(t.Context(), claim.Account, quota.Unit, quota.Note{By: "till", At: charge.Now})
	}
	b, _ := l.Balances(t.Context(), []quota.Claim{claim}, charge.Now)
	if !errors.Is(err, quota.ErrFull) || b[0].Adjusted < 150*quota.Unit || b[0].Left != b[0].Adjusted-quota.Unit {
		t.Errorf("at the bound: %v, %+v", err, b[0])
	}
}

// The greatest limit that can be written is meant to be none: with an overdraft, or with what
// is carried over and given, there is still room for a job.
func TestGreatestLimit(t *testing.T) {
	l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
	claim := quotatest.Weekly("ada", 10)
	claim.CarryOver, claim.Overdraft = 5*quota.Unit, 5*quota.Unit
	most := quota.Amount(math.MaxInt64)
	for week := range 3 {
		c := quotatest.Charge(fmt.Sprint("p/", week), "a", 3, claim)
		c.Now = quotatest.Noon.AddDate(0, 0, 7*week)
		if err := l.SetLimit(t.Context(), claim.Account, &most, quota.Note{By: "it", At: c.Now}); err != nil {
			t.Fatal(err)
		}
		if week == 2 {
			if err := l.Adjust(t.Context(), claim.Account, most/2, quota.Note{By: "it", At: c.Now}); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Reserve(t.Context(), c); err != nil {
			t.Errorf("week %d: %v", week, err)
		}
		b, err := l.Balances(t.Context(), []quota.Claim{claim}, c.Now)
		if err != nil || b[0].Left < most/2 {
			t.Errorf("week %d: %+v, %v", week, b, err)
		}
	}
}

// A job that costs nothing is paid for by an account that owes.
func TestFreeJobOfOneWhoOwes(t *testing.T) {
	l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
	claim := quotatest.Weekly("ada", 10)
	if err := l.Adjust(t.Context(), claim.Account, -20*quota.Unit, quota.Note{By: "it", At: quotatest.Noon}); err != nil {
		t.Fatal(err)
	}
	if err := l.Reserve(t.Context(), quotatest.Charge("p/1", "a", 0, claim)); err != nil {
		t.Error(err)
	}
	if err := l.Reserve(t.Context(), quotatest.Charge("p/2", "a", 1, claim)); !errors.As(err, new(*quota.Exhausted)) {
		t.Errorf("one that costs something: %v", err)
	}
}
