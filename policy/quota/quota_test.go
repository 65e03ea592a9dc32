package quota_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pullprint/policy/quota"
)

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
		zone := rapid.SampledFrom([]string{
			"UTC", "Europe/Zurich", "America/St_Johns", "Pacific/Apia",
			"Australia/Lord_Howe",
		}).Draw(t, "zone")
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

// Allowances that can't be added up are one error, in one line, that names them.
func TestClaimsOverflow(t *testing.T) {
	a := quota.Allowance{
		Name: "a", Account: quota.Account{quota.Group, "x"}, Limit: math.MaxInt64, CarryOver: math.MaxInt64, Overdraft: math.MaxInt64,
	}
	_, err := quota.Claims(quota.Sum, []quota.Allowance{a, a})
	if !errors.Is(err, quota.ErrOverflow) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "[a a]") {
		t.Errorf("%v", err)
	}
	for _, m := range []quota.Merge{quota.Max, quota.Strictest, quota.First} {
		if list, err := quota.Claims(m, []quota.Allowance{a, a}); err != nil || len(list) != 1 || list[0].Limit != math.MaxInt64 {
			t.Errorf("%s: %v, %v", m, list, err)
		}
	}
	if _, err := quota.Claims("all", []quota.Allowance{a, a}); err == nil {
		t.Error("an unknown way to merge is taken for one")
	}
}
