package ledger_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
)

// What a charge that is refused replaced on an account before is there again: for
// less, for more and for the same as before.
func TestRefusedChargeChangesNothing(t *testing.T) {
	user, group := quotatest.Weekly("ada", 100), quotatest.Weekly("group.z", 6)
	for _, second := range []int64{7, 8} {
		kv, h := &quotatest.Memory{}, &quotatest.History{}
		l := ledger.New(kv, h, rand.Text)
		if err := l.Reserve(t.Context(), quotatest.Charge("p/1", "arrival", 5, user, group)); err != nil {
			t.Fatal(err)
		}
		if err := l.Reserve(t.Context(), quotatest.Charge("p/1", "release", second, user, group)); !errors.As(err, new(*quota.Exhausted)) {
			t.Fatalf("%d of 6: %v", second, err)
		}
		for _, a := range []quota.Account{user.Account, group.Account} {
			v, err := l.View(t.Context(), a)
			if err != nil || len(v.Reservations) != 1 || v.Reservations[0].Attempt != "arrival" ||
				v.Reservations[0].Amount != 5*quota.Unit {
				t.Errorf("%s: %+v, %v", a.Key(), v.Reservations, err)
			}
		}
	}
	// What gets smaller on one account gives its room free only when all have accepted.
	l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
	small := quotatest.Weekly("group.z", 3)
	if err := l.Reserve(t.Context(), quotatest.Charge("p/1", "a", 90, user)); err != nil {
		t.Fatal(err)
	}
	if err := l.Reserve(t.Context(), quotatest.Charge("p/1", "b", 4, user, small)); err == nil {
		t.Fatal("4 of 3")
	}
	if b, err := l.Balances(t.Context(), []quota.Claim{user}, quotatest.Noon); err != nil || b[0].Reserved != 90*quota.Unit {
		t.Errorf("%+v, %v", b, err)
	}
	if err := l.Reserve(t.Context(), quotatest.Charge("p/1", "c", 3, user, small)); err != nil {
		t.Fatal(err)
	}
	if b, err := l.Balances(t.Context(), []quota.Claim{user, small}, quotatest.Noon); err != nil || b[0].Reserved != 3*quota.Unit ||
		b[1].Left != 0 {
		t.Errorf("%+v, %v", b, err)
	}
}

// What may have printed is charged although there is no room, once.
func TestPrintedIsCharged(t *testing.T) {
	c := quotatest.Weekly("ada", 5)
	l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
	ch := quotatest.Charge("p/1", "a", 7, c)
	ch.Printed = true
	for range 2 {
		if err := l.Reserve(t.Context(), ch); err != nil {
			t.Fatal(err)
		}
	}
	accounts := []quota.Account{c.Account}
	if _, err := l.Settle(t.Context(), "p/1", accounts, quotatest.Noon); err != nil {
		t.Fatal(err)
	}
	if err := l.Reserve(t.Context(), ch); err != nil {
		t.Errorf("it was charged: %v", err)
	}
	b, err := l.Balances(t.Context(), []quota.Claim{c}, quotatest.Noon)
	if err != nil || b[0].Spent != 7*quota.Unit || b[0].Left != -2*quota.Unit || b[0].Reserved != 0 {
		t.Errorf("%+v, %v", b, err)
	}
	if b, err = l.Balances(t.Context(), []quota.Claim{c}, quotatest.Noon.AddDate(0, 0, 7)); err != nil || b[0].Left != 3*quota.Unit {
		t.Errorf("the debt does not go on: %+v, %v", b, err)
	}
}

// One account that can't be read costs itself alone, and is named.
func TestDamagedAccount(t *testing.T) {
	kv := &quotatest.Memory{}
	l := ledger.New(kv, &quotatest.History{}, rand.Text)
	for _, name := range []string{"ada", "zoe"} {
		if err := l.Reserve(t.Context(), quotatest.Charge("p/"+name, "a", 1, quotatest.Weekly(name, 5))); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"bob", "team.strange", "cleo"} {
		if _, ok, err := kv.CompareAndSet(t.Context(), key, []byte(`{"seq":`), 0, 0); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	n := 0
	err := l.Open(t.Context(), func(quota.Account, quota.Reservation) error { n++; return nil })
	var damaged *ledger.Damaged
	if n != 2 || !errors.As(err, &damaged) || strings.Join(damaged.Keys, " ") != "bob cleo team.strange" ||
		!strings.Contains(err.Error(), "bob") {
		t.Errorf("%d open, %v", n, err)
	}
	if _, err := l.Erase(t.Context(), "ada", true, quotatest.Noon); !errors.Is(err, quota.ErrOpen) {
		t.Error(err)
	}
}

// Clocks that were wrong: what was spent before and after is what it was, whatever
// was done meanwhile, and what an administrator does then helps.
func TestWrongClock(t *testing.T) {
	for _, every := range []quota.Every{quota.Day, quota.Week, quota.Month} {
		for _, carry := range []quota.Amount{0, 10 * quota.Unit} {
			for _, years := range []int{10, 100, -1, -50} {
				t.Run(fmt.Sprintf("%s, carry over %s, %d years", every, carry, years),
					func(t *testing.T) { wrongClock(t, every, carry, years) })
			}
		}
	}
}

func wrongClock(t *testing.T, every quota.Every, carry quota.Amount, years int) {
	ctx := t.Context()
	kv := &quotatest.Memory{}
	l := ledger.New(kv, &quotatest.History{}, rand.Text)
	c := quotatest.Weekly("ada", 50)
	c.Period, c.CarryOver = period(t, every, "", time.UTC), carry
	accounts := []quota.Account{c.Account}
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	spend := func(job string, pages int64, at time.Time) {
		t.Helper()
		ch := quotatest.Charge(job, "a", pages, c)
		ch.Now = at
		if err := l.Reserve(ctx, ch); err != nil {
			t.Fatalf("%s: %v", job, err)
		}
		if _, err := l.Settle(ctx, job, accounts, at); err != nil {
			t.Fatal(err)
		}
	}
	left := func(at time.Time) quota.Balance {
		t.Helper()
		b, err := l.Balances(ctx, []quota.Claim{c}, at)
		if err != nil {
			t.Fatal(err)
		}
		return b[0]
	}
	wrong := now.AddDate(years, 0, 0)
	spend("p/1", 20, now)
	open := quotatest.Charge("p/2", "a", 5, c)
	open.Now = now
	if err := l.Reserve(ctx, open); err != nil {
		t.Fatal(err)
	}
	spend("p/3", 50, wrong)
	if b := left(now); b.Spent != 20*quota.Unit || b.Reserved != 5*quota.Unit || b.Left != 25*quota.Unit {
		t.Errorf("when the clock is right again: %+v", b)
	}
	spend("p/4", 10, now)
	if _, err := l.Settle(ctx, "p/2", accounts, now); err != nil {
		t.Fatal(err)
	}
	if b := left(now); b.Spent != 35*quota.Unit || b.Left != 15*quota.Unit {
		t.Errorf("later: %+v", b)
	}
	limit := 500 * quota.Unit
	note := quota.Note{By: "admin", At: now}
	if err := errors.Join(l.SetLimit(ctx, c.Account, &limit, note), l.Adjust(ctx, c.Account, quota.Unit, note)); err != nil {
		t.Fatal(err)
	}
	if b := left(now); b.Left != 466*quota.Unit {
		t.Errorf("after set and adjust: %+v", b)
	}
	_, next := c.Period.Window(now)
	if b := left(next); b.Spent != 0 || b.Left != 50*quota.Unit+carry {
		t.Errorf("the period after: %+v", b)
	}
}

// A clock that is ahead by less than a period spends of the next one, which can be
// put right by those who administer.
func TestClockAheadByAPeriod(t *testing.T) {
	l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
	c := quotatest.Weekly("ada", 50)
	c.Period = period(t, quota.Day, "", time.UTC)
	ch := quotatest.Charge("p/1", "a", 50, c)
	ch.Now = quotatest.Noon.AddDate(0, 0, 1)
	if err := l.Reserve(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	if err := l.Adjust(t.Context(), c.Account, 10*quota.Unit, quota.Note{By: "admin", At: quotatest.Noon}); err != nil {
		t.Fatal(err)
	}
	for days, want := range []quota.Amount{10, 0, 50} {
		b, err := l.Balances(t.Context(), []quota.Claim{c}, quotatest.Noon.AddDate(0, 0, days))
		if err != nil || b[0].Left != want*quota.Unit {
			t.Errorf("day %d: %+v, %v", days, b[0], err)
		}
	}
}

// What comes back late is worth no more than if the job had never been.
func TestRefundOfAnEarlierPeriod(t *testing.T) {
	for _, idle := range []int{0, 1, 5} {
		play := func(job bool) quota.Balance {
			l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
			c := quotatest.Weekly("ada", 100)
			c.Period, c.CarryOver = period(t, quota.Day, "", time.UTC), 30*quota.Unit
			accounts := []quota.Account{c.Account}
			day := func(n int) time.Time { return quotatest.Noon.AddDate(0, 0, n) }
			spend := func(name string, pages int64, n int) {
				ch := quotatest.Charge(name, "a", pages, c)
				ch.Now = day(n)
				if err := l.Reserve(t.Context(), ch); err != nil {
					t.Fatal(err)
				}
				if name != "late" {
					if _, err := l.Settle(t.Context(), name, accounts, day(n)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if job {
				spend("late", 90, 0)
			}
			spend("a", 0, 0)
			spend("b", 110, 1)
			spend("c", 1, 2+idle)
			spend("d", 95, 3+idle)
			if _, err := l.Refund(t.Context(), "late", accounts, quota.Refund{Permille: 1000}, day(3+idle)); err != nil {
				t.Fatal(err)
			}
			b, err := l.Balances(t.Context(), []quota.Claim{c}, day(3+idle))
			if err != nil {
				t.Fatal(err)
			}
			return b[0]
		}
		if with, without := play(true), play(false); with.Left != without.Left || with.Carried != without.Carried {
			t.Errorf("%d idle days: carried %s, left %s; had it never been: %s, %s", idle, with.Carried, with.Left,
				without.Carried, without.Left)
		}
	}
}

// reborn is a store in which an account was forgotten.
type reborn struct {
	*quotatest.Memory
	key string // it is gone, until it is written again
	rev uint64
	ttl time.Duration
}

func (k *reborn) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	value, rev, err := k.Memory.Get(ctx, key)
	if key == k.key {
		k.rev = rev
		return nil, 0, err
	}
	return value, rev, err
}

func (k *reborn) CompareAndSet(ctx context.Context, key string, value []byte, rev uint64, ttl time.Duration) (uint64, bool, error) {
	if key == k.key && rev == 0 {
		rev = k.rev
	}
	k.key, k.ttl = "", ttl
	return k.Memory.CompareAndSet(ctx, key, value, rev, ttl)
}

// The history of an account that was there before has no holes, also at the same
// time of day, and in another process.
func TestHistoryOfRecreatedAccount(t *testing.T) {
	kv, h := &reborn{Memory: &quotatest.Memory{}}, &quotatest.History{}
	l, other := ledger.New(kv, h, rand.Text), ledger.New(kv, h, rand.Text)
	c := quotatest.Weekly("ada", 500)
	jobs := func(name string) {
		for i := range 10 {
			on := []*ledger.Ledger{l, other}[i%2]
			if err := on.Reserve(t.Context(), quotatest.Charge(fmt.Sprint(name, i), "a", 1, c)); err != nil {
				t.Fatal(err)
			}
		}
	}
	jobs("p/")
	kv.key = "ada"
	jobs("q/")
	if n := h.Entries(`"reserve"`); n != 20 {
		t.Errorf("%d entries in the history, want 20", n)
	}
}

// An account that nobody uses any more goes by itself, unless something of it goes
// on into further periods.
func TestUnusedAccountsGo(t *testing.T) {
	kv := &reborn{Memory: &quotatest.Memory{}}
	l := ledger.New(kv, &quotatest.History{}, rand.Text)
	for name, c := range map[string]struct {
		change func(*quota.Claim)
		pages  int64
		goes   bool
	}{
		"plain": {func(*quota.Claim) {}, 3, true}, "in debt": {func(c *quota.Claim) { c.Overdraft = 10 * quota.Unit }, 12, false},
		"carried-over": {func(c *quota.Claim) { c.CarryOver = quota.Unit }, 3, false},
	} {
		claim := quotatest.Weekly("x"+name[:2], 10)
		c.change(&claim)
		if err := l.Reserve(t.Context(), quotatest.Charge("p/1", "a", c.pages, claim)); err != nil {
			t.Fatal(name, err)
		}
		if kv.ttl != 0 {
			t.Errorf("%s: gone in %s with something open", name, kv.ttl)
		}
		if _, err := l.Settle(t.Context(), "p/1", []quota.Account{claim.Account}, quotatest.Noon); err != nil {
			t.Fatal(err)
		}
		_, end := claim.Period.Window(quotatest.Noon)
		if goes := kv.ttl > end.Sub(quotatest.Noon)+24*time.Hour; goes != c.goes || (!goes && kv.ttl != 0) {
			t.Errorf("%s: kept for %s", name, kv.ttl)
		}
	}
}

// What was spent for a job that did not print after all comes back once, and the job
// can be charged again.
func TestReopen(t *testing.T) {
	l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
	c := quotatest.Weekly("ada", 20)
	accounts := []quota.Account{c.Account}
	ch := quotatest.Charge("p/1", "a", 7, c)
	spend := func() {
		t.Helper()
		if err := l.Reserve(t.Context(), ch); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Settle(t.Context(), "p/1", accounts, ch.Now); err != nil {
			t.Fatal(err)
		}
	}
	reopened := func(now time.Time, want quota.Amount) {
		t.Helper()
		for range 2 {
			if err := l.Reopen(t.Context(), accounts, quota.Charge{
				Job: "p/1", Owner: "ada", Amount: 7 * quota.Unit,
				Now: now,
			}); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := l.Balances(t.Context(), []quota.Claim{c}, now); err != nil || b[0].Left != want {
			t.Errorf("%+v, %v", b, err)
		}
	}
	spend()
	reopened(ch.Now, 20*quota.Unit)
	// In a later period it is given to the account.
	_, end := c.Period.Window(ch.Now)
	ch.Now = end.Add(-time.Hour)
	spend()
	other := quotatest.Charge("p/2", "a", 1, c)
	if other.Now = end.Add(time.Hour); l.Reserve(t.Context(), other) != nil {
		t.Fatal("no room")
	}
	reopened(other.Now, 26*quota.Unit)
}
