package ledger_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"pgregory.net/rapid"

	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
)

func TestLedger(t *testing.T) {
	quotatest.Run(t, func(*testing.T) ledger.KV { return &quotatest.Memory{} })
}

func TestBadCharges(t *testing.T) {
	l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
	c := quotatest.Weekly("ada", 10)
	good := quotatest.Charge("p/1", "a", 1, c)
	for name, change := range map[string]func(*quota.Charge){
		"negative": func(c *quota.Charge) { c.Amount = -1 }, "no job": func(c *quota.Charge) { c.Job = "" },
		"a NUL":      func(c *quota.Charge) { c.Job = "a\x00" },
		"no attempt": func(c *quota.Charge) { c.Attempt = "" }, "nobody": func(c *quota.Charge) { c.Claims = nil },
		"no account": func(c *quota.Charge) { c.Claims = []quota.Claim{{Account: quota.Account{Kind: quota.User, Name: ">"}}} },
	} {
		bad := good
		change(&bad)
		if err := l.Reserve(t.Context(), bad); !errors.Is(err, quota.ErrCharge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good.Amount = math.MaxInt64
	var ex *quota.Exhausted
	if err := l.Reserve(t.Context(), good); !errors.As(err, &ex) {
		t.Error(err)
	}
	if _, err := l.Refund(t.Context(), "p/1", []quota.Account{c.Account}, quota.Refund{Permille: 1001}, quotatest.Noon); err != nil {
		t.Error(err) // there is nothing to refund
	}
}

// A period that is over is carried over within bounds, debts always, through
// idle periods, and reservations stay in the period they were made in.
func TestRollOver(t *testing.T) {
	ctx := t.Context()
	l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
	c := quotatest.Weekly("ada", 10)
	c.CarryOver, c.Overdraft = 4*quota.Unit, 5*quota.Unit
	at := func(weeks int) time.Time { return quotatest.Noon.AddDate(0, 0, 7*weeks) }
	left := func(weeks int, want string) {
		t.Helper()
		b, err := l.Balances(ctx, []quota.Claim{c}, at(weeks))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%s+%s-%s-%s=%s", b[0].Limit, b[0].Carried, b[0].Spent, b[0].Reserved, b[0].Left); got != want {
			t.Fatalf("week %d: %s, want %s", weeks, got, want)
		}
	}
	reserve := func(weeks int, job string, pages int64) {
		t.Helper()
		ch := quotatest.Charge(job, "a", pages, c)
		ch.Now = at(weeks)
		if err := l.Reserve(ctx, ch); err != nil {
			t.Fatal(err)
		}
	}
	end := func(weeks int, job string, permille int64) {
		t.Helper()
		if _, err := l.Refund(ctx, job, []quota.Account{c.Account}, quota.Refund{Permille: permille}, at(weeks)); err != nil {
			t.Fatal(err)
		}
	}
	reserve(0, "p/1", 3)
	left(0, "10+0-0-3=7")
	left(1, "10+4-0-0=14") // 7 were left, 4 go on
	reserve(1, "p/2", 13)
	left(1, "10+4-0-13=1")
	end(1, "p/1", 1000) // its week is over, and 4 is the most that goes on
	left(1, "10+4-0-13=1")
	left(2, "10+1-0-0=11")
	reserve(2, "p/3", 16) // with the overdraft
	left(2, "10+1-0-16=-5")
	left(3, "10+-5-0-0=5")
	left(4, "10+4-0-0=14") // the debt is paid by a week without printing
	left(400, "10+4-0-0=14")
	end(2, "p/2", 1000) // in the week after: what goes on is raised within its bound
	left(2, "10+4-0-16=-2")
	left(1, "10+4-0-16=-2") // a clock that is behind rolls nothing back
	end(3, "p/3", 0)
	left(3, "10+-2-0-0=8")
}

// A change whose answer is lost, at any write, is made once when it is made
// again, and its entry is in the history.
func TestLostAnswers(t *testing.T) {
	for at := 1; at <= 8; at++ {
		for _, happened := range []bool{false, true} {
			kv := &quotatest.Memory{Lose: func(n int) (bool, bool) { return n == at && !happened, n == at && happened }}
			h := &quotatest.History{}
			a, b := quotatest.Weekly("ada", 10), quotatest.Weekly("center.lab", 10)
			accounts := []quota.Account{a.Account, b.Account}
			do := func(fn func(l *ledger.Ledger) error) {
				t.Helper()
				err := fn(ledger.New(kv, h, rand.Text)) // a new process each time
				if errors.Is(err, quotatest.ErrLost) {
					err = fn(ledger.New(kv, h, rand.Text))
				}
				if err != nil {
					t.Fatalf("lost %d (happened %v): %v", at, happened, err)
				}
			}
			do(func(l *ledger.Ledger) error { return l.Reserve(t.Context(), quotatest.Charge("p/1", "a", 4, a, b)) })
			do(func(l *ledger.Ledger) error { return l.Reserve(t.Context(), quotatest.Charge("p/2", "a", 5, a, b)) })
			do(func(l *ledger.Ledger) error {
				_, err := l.Settle(t.Context(), "p/1", accounts, quotatest.Noon)
				return err
			})
			do(func(l *ledger.Ledger) error {
				_, err := l.Void(t.Context(), "p/2", "a", accounts, quotatest.Noon)
				return err
			})
			l := ledger.New(kv, h, rand.Text)
			if err := l.Open(t.Context(), func(a quota.Account, r quota.Reservation) error {
				return fmt.Errorf("%s is open on %s", r.Job, a.Key())
			}); err != nil {
				t.Errorf("lost %d (happened %v): %v", at, happened, err)
			}
			list, err := l.Balances(t.Context(), []quota.Claim{a, b}, quotatest.Noon)
			if err != nil || list[0].Left != 6*quota.Unit || list[1].Left != 6*quota.Unit || list[0].Spent != 4*quota.Unit {
				t.Errorf("lost %d (happened %v): %+v, %v", at, happened, list, err)
			}
			for kind, want := range map[string]int{"reserve": 4, "settle": 2, "void": 2} {
				if n := h.Entries(`"kind":"` + kind + `"`); n != want {
					t.Errorf("lost %d (happened %v): %d entries %s, want %d", at, happened, n, kind, want)
				}
			}
		}
	}
}

// What the history could not take is in the outbox and comes later, once.
func TestOutbox(t *testing.T) {
	kv, h := &quotatest.Memory{}, &quotatest.History{Fail: true}
	c := quotatest.Weekly("ada", 1000)
	l := ledger.New(kv, h, rand.Text)
	for i := range 5 {
		if err := l.Reserve(t.Context(), quotatest.Charge(fmt.Sprintf("p/%d", i), "a", 1, c)); err != nil {
			t.Fatal(err)
		}
	}
	h.Fail = false
	for range 2 {
		if err := ledger.New(kv, h, rand.Text).Open(t.Context(), func(quota.Account, quota.Reservation) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.Entries(`"reserve"`); n != 5 {
		t.Errorf("%d entries", n)
	}
	h.Fail = true
	var err error
	for i := 0; i < 500 && err == nil; i++ {
		err = l.Reserve(t.Context(), quotatest.Charge(fmt.Sprintf("q/%d", i), "a", 1, c))
	}
	if err == nil {
		t.Error("an outbox without end")
	}
}

// Whatever is done in whatever order, an account adds up, is never overspent,
// and a job is charged once: the same in a model that is a map.
func TestInvariant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kv, h := &quotatest.Memory{}, &quotatest.History{}
		l := ledger.New(kv, h, rand.Text)
		c := quotatest.Weekly("ada", 10)
		accounts := []quota.Account{c.Account}
		open, over, spent, limit := map[string]quota.Amount{}, map[string]bool{}, quota.Amount(0), c.Limit
		reserved := func() (sum quota.Amount) {
			for _, a := range open {
				sum += a
			}
			return sum
		}
		job := func(t *rapid.T) string { return fmt.Sprintf("p/%d", rapid.IntRange(0, 5).Draw(t, "job")) }
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				j, n := job(t), rapid.Int64Range(0, 7).Draw(t, "pages")
				err := l.Reserve(t.Context(), quotatest.Charge(j, "a", n, c))
				amount := quota.Amount(n) * quota.Unit
				fits := spent+reserved()-open[j]+amount <= limit
				var ex *quota.Exhausted
				switch {
				case over[j]:
					if !errors.Is(err, quota.ErrEnded) {
						t.Fatalf("%s had ended: %v", j, err)
					}
				case fits != (err == nil) || (err != nil && !errors.As(err, &ex)):
					if _, had := open[j]; !had || open[j] != amount {
						t.Fatalf("%s for %s: %v", j, amount, err)
					}
				case err == nil:
					open[j] = amount
				}
			},
			"settle": func(t *rapid.T) {
				j := job(t)
				if _, err := l.Settle(t.Context(), j, accounts, quotatest.Noon); err != nil {
					t.Fatal(err)
				}
				if a, ok := open[j]; ok {
					spent += a
					over[j] = true
					delete(open, j)
				}
			},
			"refund": func(t *rapid.T) {
				j := job(t)
				back, err := l.Refund(t.Context(), j, accounts,
					quota.Refund{Permille: rapid.Int64Range(0, 1000).Draw(t, "part")}, quotatest.Noon)
				if err != nil {
					t.Fatal(err)
				}
				if a, ok := open[j]; ok {
					spent += a - back
					over[j] = true
					delete(open, j)
				}
			},
			"void": func(t *rapid.T) {
				j, attempt := job(t), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "attempt")
				if _, err := l.Void(t.Context(), j, attempt, accounts, quotatest.Noon); err != nil {
					t.Fatal(err)
				}
				if attempt == "a" {
					delete(open, j)
				}
			},
			"": func(t *rapid.T) {
				b, err := l.Balances(t.Context(), []quota.Claim{c}, quotatest.Noon)
				if err != nil {
					t.Fatal(err)
				}
				if b[0].Spent != spent || b[0].Reserved != reserved() || b[0].Left != limit-spent-reserved() || b[0].Left < 0 {
					t.Fatalf("%+v; the model has spent %s, reserved %s", b[0], spent, reserved())
				}
			},
		})
	})
}

// Many at once, answers lost at random: the history can be put in one order.
func TestLinearizable(t *testing.T) {
	for seed := range 20 {
		kv := &quotatest.Memory{Lose: func(n int) (bool, bool) { return (n*7+seed)%11 == 0, (n*5+seed)%13 == 0 }}
		ops := quotatest.Storm(t, func() *ledger.Ledger { return ledger.New(kv, &quotatest.History{}, rand.Text) }, 8, 12)
		if !porcupine.CheckOperations(quotatest.Model, ops) {
			t.Fatalf("seed %d: the history can't be put in one order", seed)
		}
	}
}

// An account that was last used before a day without a midnight, and was adjusted
// since, is carried over.
func TestCarriedOverAMissingMidnight(t *testing.T) {
	for name, day := range map[string]time.Time{
		"America/Santiago": time.Date(2026, 9, 6, 12, 0, 0, 0, time.UTC), "America/Havana": time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC),
		"Atlantic/Azores": time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC), "Africa/Cairo": time.Date(2026, 4, 24, 12, 0, 0, 0, time.UTC),
		"Pacific/Apia": time.Date(2011, 12, 30, 12, 0, 0, 0, time.UTC),
	} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, every := range []quota.Every{quota.Day, quota.Week, quota.Month} {
			l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
			c := quotatest.Weekly("ada", 10)
			c.Period, c.CarryOver = period(t, every, "", zone), 5*quota.Unit
			ch := quotatest.Charge("p/1", "a", 1, c)
			ch.Now = day.AddDate(0, 0, -2)
			if err := l.Reserve(t.Context(), ch); err != nil {
				t.Fatal(err)
			}
			if err := l.Adjust(t.Context(), c.Account, quota.Unit,
				quota.Note{By: "admin", Why: "a gift", At: day.AddDate(0, 3, 0)}); err != nil {
				t.Fatal(err)
			}
			list, err := l.Balances(t.Context(), []quota.Claim{c}, day.AddDate(0, 3, 0))
			if err != nil || list[0].Left != 16*quota.Unit {
				t.Errorf("%s %s: %+v, %v", name, every, list, err)
			}
		}
	}
}

// An account that was used last before anybody can have used it is refused, not rolled over
// for as long as that takes.
func TestUsedLongAgo(t *testing.T) {
	c := quotatest.Weekly("ada", 1)
	c.Period = period(t, quota.Day, "", time.UTC)
	c.Overdraft = 1_000_000 * quota.Unit
	l := ledger.New(&quotatest.Memory{}, &quotatest.History{}, rand.Text)
	if err := l.Reserve(t.Context(), quotatest.Charge("p/1", "a", 1_000_000, c)); err != nil {
		t.Fatal(err)
	}
	for years, refused := range map[int]bool{200: false, 3000: true} {
		if _, err := l.Balances(t.Context(), []quota.Claim{c}, quotatest.Noon.AddDate(years, 0, 0)); (err != nil) != refused {
			t.Errorf("after %d years: %v", years, err)
		}
	}
}

func period(t testing.TB, every quota.Every, anchor string, zone *time.Location) quota.Period {
	t.Helper()
	p, err := quota.ParsePeriod(every, anchor, zone)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
