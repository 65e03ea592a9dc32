package quota_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"pgregory.net/rapid"

	"pullprint/policy/quota"
	"pullprint/policy/quota/quotatest"
)

func TestLedger(t *testing.T) {
	quotatest.Run(t, func(*testing.T) quota.KV { return &quotatest.Memory{} })
}

func TestAmounts(t *testing.T) {
	for text, want := range map[string]quota.Amount{
		"0": 0, "12": 12e6, "12.5": 12_500_000, "-0.000001": -1, "0.250000": 250_000, "9223372036854.775807": math.MaxInt64,
	} {
		a, err := quota.ParseAmount(text)
		if a != want || err != nil {
			t.Errorf("%s: %d, %v", text, a, err)
		}
		if back, err := quota.ParseAmount(a.String()); back != a || err != nil {
			t.Errorf("%s is written %s", text, a)
		}
	}
	for _, text := range []string{"", "-", ".", "1.", ".5", "1.0000001", "1e3", "+1", "0x1", " 1", "9223372036855", "1,5", "NaN", "-1.-1"} {
		if a, err := quota.ParseAmount(text); err == nil {
			t.Errorf("%q is %s", text, a)
		}
	}
	if quota.Amount(math.MinInt64).String() != "-9223372036854.775808" {
		t.Error(quota.Amount(math.MinInt64).String())
	}
	for name, err := range map[string]error{
		"sum": second(quota.Amount(math.MaxInt64).Add(1)), "difference": second(quota.Amount(math.MinInt64).Sub(1)),
		"product": second(quota.Amount(math.MaxInt64/2 + 1).Times(2)), "a negative factor": second(quota.Unit.Times(-1)),
	} {
		if !errors.Is(err, quota.ErrOverflow) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var v struct{ A quota.Amount }
	for _, bad := range []string{`{"A":"1"}`, `{"A":1e3}`, `{"A":1.0000001}`, `{"A":true}`} {
		if json.Unmarshal([]byte(bad), &v) == nil {
			t.Errorf("%s is %s", bad, v.A)
		}
	}
	if err := json.Unmarshal([]byte(`{"A":-1.25}`), &v); err != nil || v.A != -1_250_000 {
		t.Error(v.A, err)
	}
}

func second(_ quota.Amount, err error) error { return err }

func TestPeriods(t *testing.T) {
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		every          quota.Every
		anchor, now    string
		start, renewal string
	}{
		{quota.Day, "", "2026-03-29 12:00", "2026-03-29 00:00 CET", "2026-03-30 00:00 CEST"}, // a day of 23 hours
		{quota.Day, "06:00", "2026-03-29 05:59", "2026-03-28 06:00 CET", "2026-03-29 06:00 CEST"},
		{quota.Day, "06:00", "2026-03-29 06:00", "2026-03-29 06:00 CEST", "2026-03-30 06:00 CEST"},
		{quota.Week, "", "2026-01-01 00:00", "2025-12-29 00:00 CET", "2026-01-05 00:00 CET"},
		{quota.Week, "Sunday", "2026-10-25 23:59", "2026-10-25 00:00 CEST", "2026-11-01 00:00 CET"},
		{quota.Month, "", "2028-02-29 23:59", "2028-02-01 00:00 CET", "2028-03-01 00:00 CET"},
		{quota.Month, "15", "2026-01-14 12:00", "2025-12-15 00:00 CET", "2026-01-15 00:00 CET"},
		{quota.Term, "09-01, 02-15", "2026-01-05 12:00", "2025-09-01 00:00 CEST", "2026-02-15 00:00 CET"},
		{quota.Term, "09-01, 02-15", "2026-02-15 00:00", "2026-02-15 00:00 CET", "2026-09-01 00:00 CEST"},
		{quota.Term, "07-01", "2026-06-30 12:00", "2025-07-01 00:00 CEST", "2026-07-01 00:00 CEST"},
	} {
		p, err := quota.ParsePeriod(c.every, c.anchor, zurich)
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.ParseInLocation("2006-01-02 15:04", c.now, zurich)
		if err != nil {
			t.Fatal(err)
		}
		start, end := p.Window(now)
		if s, e := start.Format("2006-01-02 15:04 MST"), end.Format("2006-01-02 15:04 MST"); s != c.start || e != c.renewal {
			t.Errorf("%s %s at %s: %s to %s, want %s to %s", c.every, c.anchor, c.now, s, e, c.start, c.renewal)
		}
		text, err := p.MarshalText()
		var back quota.Period
		if err != nil || back.UnmarshalText(text) != nil || back.String() != p.String() {
			t.Errorf("%s comes back as %s", p, back)
		}
	}
	for anchor, every := range map[string]quota.Every{
		"25:00": quota.Day, "funday": quota.Week, "29": quota.Month, "0": quota.Month, "": quota.Term, "02-29": quota.Term,
		"09-01,09-01": quota.Term, "x": "fortnight",
	} {
		if p, err := quota.ParsePeriod(every, anchor, time.UTC); err == nil {
			t.Errorf("%s %q is %s", every, anchor, p)
		}
	}
}

// Every moment is in the window that it gives, and windows meet.
func TestWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"UTC", "Europe/Zurich", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe"}).Draw(t, "zone")
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		every := rapid.SampledFrom([]quota.Every{quota.Day, quota.Week, quota.Month, quota.Term}).Draw(t, "every")
		anchor := ""
		if every == quota.Term {
			anchor = "01-10,05-31,09-01"
		}
		p, err := quota.ParsePeriod(every, anchor, loc)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(rapid.Int64Range(1_500_000_000, 2_500_000_000).Draw(t, "now"), 0)
		start, end := p.Window(now)
		if now.Before(start) || !now.Before(end) {
			t.Fatalf("%s is not in %s to %s", now.In(loc), start, end)
		}
		if next, _ := p.Window(end); !next.Equal(end) {
			t.Fatalf("after %s comes %s", end, next)
		}
		if s, e := p.Window(start); !s.Equal(start) || !e.Equal(end) {
			t.Fatalf("%s to %s begins %s to %s", start, end, s, e)
		}
	})
}

func TestClaims(t *testing.T) {
	week, err := quota.ParsePeriod(quota.Week, "", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	ada, lab := quota.Account{Kind: quota.User, Name: "ada"}, quota.Account{Kind: quota.Center, Name: "lab"}
	list := []quota.Allowance{
		{Name: "a", Account: ada, Limit: 10, Period: week, CarryOver: 1, Overdraft: 5},
		{Name: "b", Account: ada, Limit: 30, Period: week, CarryOver: 2},
		{Name: "c", Account: lab, Limit: 7, Period: week},
	}
	for m, want := range map[quota.Merge]string{
		quota.First: "ada 10 1 5 [a]", quota.Sum: "ada 40 3 5 [a b], lab 7 0 0 [c]", quota.Max: "ada 30 2 5 [a b], lab 7 0 0 [c]",
		quota.Strictest: "ada 10 1 0 [a b], lab 7 0 0 [c]",
	} {
		claims, err := quota.Claims(m, list)
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, c := range claims {
			parts = append(parts, fmt.Sprintf("%s %d %d %d %v", c.Account.Name, c.Limit, c.CarryOver, c.Overdraft, c.Names))
		}
		if got := strings.Join(parts, ", "); got != want {
			t.Errorf("%s: %s, want %s", m, got, want)
		}
	}
	list[0].Limit, list[1].Limit = math.MaxInt64, 1
	if _, err := quota.Claims(quota.Sum, list); !errors.Is(err, quota.ErrOverflow) {
		t.Error(err)
	}
}

func TestAccounts(t *testing.T) {
	for _, key := range []string{"84bd8158-6d4d-4958-8b9f-9d6445542f95", "group.students", "center.a_b-c"} {
		if a, err := quota.ParseAccount(key); err != nil || a.Key() != key {
			t.Error(key, a, err)
		}
	}
	for _, key := range []string{"", ".", "team.x", "group.", "group.a.b", "a b", "*", ">", "group.>", "a\x00", strings.Repeat("a",
		65), "user.ada"} {
		if a, err := quota.ParseAccount(key); err == nil {
			t.Errorf("%q is %+v", key, a)
		}
	}
}

func TestBadCharges(t *testing.T) {
	l := quota.NewLedger(&quotatest.Memory{}, &quotatest.History{})
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
	l := quota.NewLedger(&quotatest.Memory{}, &quotatest.History{})
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
			do := func(fn func(l *quota.Ledger) error) {
				t.Helper()
				err := fn(quota.NewLedger(kv, h)) // a new process each time
				if errors.Is(err, quotatest.ErrLost) {
					err = fn(quota.NewLedger(kv, h))
				}
				if err != nil {
					t.Fatalf("lost %d (happened %v): %v", at, happened, err)
				}
			}
			do(func(l *quota.Ledger) error { return l.Reserve(t.Context(), quotatest.Charge("p/1", "a", 4, a, b)) })
			do(func(l *quota.Ledger) error { return l.Reserve(t.Context(), quotatest.Charge("p/2", "a", 5, a, b)) })
			do(func(l *quota.Ledger) error {
				_, err := l.Settle(t.Context(), "p/1", accounts, quotatest.Noon)
				return err
			})
			do(func(l *quota.Ledger) error {
				_, err := l.Void(t.Context(), "p/2", "a", accounts, quotatest.Noon)
				return err
			})
			l := quota.NewLedger(kv, h)
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
	l := quota.NewLedger(kv, h)
	for i := range 5 {
		if err := l.Reserve(t.Context(), quotatest.Charge(fmt.Sprintf("p/%d", i), "a", 1, c)); err != nil {
			t.Fatal(err)
		}
	}
	h.Fail = false
	for range 2 {
		if err := quota.NewLedger(kv, h).Open(t.Context(), func(quota.Account, quota.Reservation) error { return nil }); err != nil {
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
		l := quota.NewLedger(kv, h)
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
				back, err := l.Refund(t.Context(), j, accounts, quota.Refund{Permille: rapid.Int64Range(0, 1000).Draw(t, "part")}, quotatest.Noon)
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
		ops := quotatest.Storm(t, func() *quota.Ledger { return quota.NewLedger(kv, &quotatest.History{}) }, 8, 12)
		if !porcupine.CheckOperations(quotatest.Model, ops) {
			t.Fatalf("seed %d: the history can't be put in one order", seed)
		}
	}
}
