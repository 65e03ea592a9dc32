package quota_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pullprint/policy/quota"
	"pullprint/policy/quota/quotatest"
)

// Amounts are added, taken away and multiplied as whole numbers are, or not at all.
func TestArithmetic(t *testing.T) {
	any64 := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64}))
	rapid.Check(t, func(t *rapid.T) {
		x, y := any64.Draw(t, "a"), any64.Draw(t, "b")
		a, b := quota.Amount(x), quota.Amount(y)
		sum, sumErr := a.Add(b)
		difference, differenceErr := a.Sub(b)
		product, productErr := a.Times(y)
		for name, c := range map[string]struct {
			got  quota.Amount
			err  error
			want *big.Int
		}{
			"sum":        {sum, sumErr, new(big.Int).Add(big.NewInt(x), big.NewInt(y))},
			"difference": {difference, differenceErr, new(big.Int).Sub(big.NewInt(x), big.NewInt(y))},
			"product":    {product, productErr, new(big.Int).Mul(big.NewInt(x), big.NewInt(y))},
		} {
			fits := c.want.IsInt64()
			if name == "product" { // of a factor of at least 0, and never the smallest number
				fits = fits && y >= 0 && x != math.MinInt64
			}
			if fits != (c.err == nil) || (fits && int64(c.got) != c.want.Int64()) {
				t.Fatalf("the %s of %d and %d is %d, %v", name, x, y, c.got, c.err)
			}
		}
		if back, err := quota.ParseAmount(a.String()); x != math.MinInt64 && (err != nil || back != a) {
			t.Fatalf("%d is written %s and read as %d, %v", a, a, back, err)
		}
	})
}

func TestLoadZone(t *testing.T) {
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for name, want := range map[string]string{
		"Europe/Zurich": "14:00", "UTC": "12:00", "+01:00": "13:00", "-09:30": "02:30", "+23:59": "11:59", "-00:00": "12:00",
		"Pacific/Kiritimati": "02:00", "Asia/Kathmandu": "17:45",
		"": "", "Local": "", "Europe/Zürich": "", "+1:00": "", "+24:00": "", "+01:60": "", "01:00": "", "../etc/passwd": "",
	} {
		zone, err := quota.LoadZone(name)
		switch {
		case want == "" && (err == nil || !strings.Contains(err.Error(), "is not a valid time zone")):
			t.Errorf("%q: %v, %v", name, zone, err)
		case want != "" && (err != nil || noon.In(zone).Format("15:04") != want):
			t.Errorf("%q: %v, %v, want %s at noon in UTC", name, zone, err, want)
		}
	}
}

func clone(t testing.TB, s *quota.State) *quota.State {
	t.Helper()
	body, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	out := new(quota.State)
	if err := json.Unmarshal(body, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// A charge that another account refused leaves nothing behind: restored, an account is as it
// was, also when a period began between the two tries.
func TestRestoreUndoes(t *testing.T) {
	claim := quotatest.Weekly("ada", 20)
	claim.CarryOver = 15 * quota.Unit
	for name, c := range map[string]struct {
		before, then int64 // pages of the first and of the second try; -1 is none
		weeks        int   // between them
	}{
		"nothing was reserved":           {-1, 4, 0},
		"less was reserved":              {2, 4, 0},
		"more was reserved":              {7, 4, 0},
		"the same was reserved":          {4, 4, 0},
		"reserved a week ago":            {2, 4, 1},
		"the same, reserved a week ago":  {4, 4, 1},
		"more, reserved three weeks ago": {9, 1, 3},
	} {
		s := new(quota.State)
		charge := quotatest.Charge("p/0", "a", 3, claim)
		if _, err := s.Reserve(&charge, charge.Claims); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Settle("p/0", charge.Now); err != nil {
			t.Fatal(err)
		}
		if c.before >= 0 {
			first := quotatest.Charge("p/1", "a", c.before, claim)
			if _, err := s.Reserve(&first, first.Claims); err != nil {
				t.Fatal(err)
			}
		}
		now := quotatest.Noon.AddDate(0, 0, 7*c.weeks)
		want, err := clone(t, s).Balance(&claim, now)
		if err != nil {
			t.Fatal(err)
		}
		before := clone(t, s).Reservations["p/1"]
		again := quotatest.Charge("p/1", "b", c.then, claim)
		again.Now = now
		if _, err := s.Reserve(&again, again.Claims); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := s.Restore(&again, before); err != nil {
			t.Fatal(err)
		}
		got, err := s.Balance(&claim, now)
		if err != nil || got.Left != want.Left || got.Reserved != want.Reserved || got.Carried != want.Carried {
			t.Errorf("%s: %+v, %v; before %+v", name, got, err, want)
		}
		if r := s.Reservations["p/1"]; (r == nil) != (before == nil) || (r != nil && r.Attempt != "a") {
			t.Errorf("%s: reserved is %+v", name, r)
		}
		if e, err := s.Restore(&again, before); e.Kind != "" || err != nil {
			t.Errorf("%s, restored twice: %+v, %v", name, e, err)
		}
	}
}

// What an owner is given back within 24 hours is bounded, whatever the case of the letters of
// their id, and is theirs again a day later.
func TestRefundsOfADay(t *testing.T) {
	claim := quotatest.Weekly("center.lab", 100)
	how := quota.Refund{Permille: 500, PerDay: 5 * quota.Unit}
	s := new(quota.State)
	for i, c := range []struct {
		owner string
		after time.Duration
		back  quota.Amount
	}{
		{"ada", 0, 4 * quota.Unit},
		{"ADA", time.Hour, quota.Unit},
		{"grace", time.Hour, 4 * quota.Unit},
		{"ada", 24*time.Hour - 1, 0},
		{"ada", 24 * time.Hour, 4 * quota.Unit},
	} {
		charge := quotatest.Charge(string(rune('a'+i)), "a", 8, claim)
		charge.Owner, charge.Now = c.owner, quotatest.Noon.Add(c.after)
		if _, err := s.Reserve(&charge, charge.Claims); err != nil {
			t.Fatal(err)
		}
		if e, err := s.Refund(charge.Job, how, charge.Now); err != nil || e.Amount != c.back || e.Kind != quota.Refunded {
			t.Errorf("%s after %s: %s back, %v, want %s", c.owner, c.after, e.Amount, err, c.back)
		}
	}
	charge := quotatest.Charge("p/bad", "a", 8, claim)
	if _, err := s.Reserve(&charge, charge.Claims); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []quota.Refund{{Permille: -1}, {Permille: 1001}, {Permille: 1, PerDay: -1}} {
		if _, err := s.Refund(charge.Job, bad, charge.Now); !errors.Is(err, quota.ErrCharge) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// The greatest amounts are refused, or counted, and never wrap around.
func TestGreatestAmounts(t *testing.T) {
	claim := quotatest.Weekly("ada", 10)
	s := new(quota.State)
	all := quotatest.Charge("p/all", "a", 0, claim)
	all.Amount = math.MaxInt64
	if _, err := s.Reserve(&all, all.Claims); !errors.As(err, new(*quota.Exhausted)) {
		t.Fatalf("more than there is: %v", err)
	}
	all.Printed = true // it is on paper: it is charged
	if _, err := s.Reserve(&all, all.Claims); err != nil {
		t.Fatal(err)
	}
	b, err := s.Balance(&claim, quotatest.Noon)
	if want := 10*quota.Unit - math.MaxInt64; err != nil || b.Left != want {
		t.Errorf("%+v, %v, want %s left", b, err, want)
	}
	for _, pages := range []int64{0, 1} {
		c := quotatest.Charge("p/more", "a", pages, claim)
		if _, err := s.Reserve(&c, c.Claims); (err == nil) != (pages == 0) {
			t.Errorf("%d pages of one who owes all: %v", pages, err)
		}
	}
	again := all
	again.Job = "p/again"
	twice := clone(t, s)
	if _, err := twice.Reserve(&again, again.Claims); err != nil {
		t.Fatal(err)
	}
	if b, err := twice.Balance(&claim, quotatest.Noon); !errors.Is(err, quota.ErrOverflow) {
		t.Errorf("twice all there is: %+v, %v", b, err)
	}
	limit := quota.Amount(math.MaxInt64)
	for _, change := range []func() (quota.Entry, error){
		func() (quota.Entry, error) { return s.Void("p/all", "") },
		func() (quota.Entry, error) { return s.SetLimit(&limit, quota.Note{At: quotatest.Noon}) },
		func() (quota.Entry, error) { return s.Adjust(limit, quota.Note{At: quotatest.Noon}) },
	} {
		if _, err := change(); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := s.Balance(&claim, quotatest.Noon); err != nil || b.Left != math.MaxInt64 {
		t.Errorf("twice the greatest limit: %+v, %v", b, err)
	}
}

// A person is erased from their own account and from those they share, and nobody else is.
func TestEraseState(t *testing.T) {
	fill := func(account string) *quota.State {
		s, claim := new(quota.State), quotatest.Weekly(account, 100)
		for job, owner := range map[string]string{"p/1": "ada", "p/2": "grace"} {
			c := quotatest.Charge(job, "a", 8, claim)
			c.Owner = owner
			e, err := s.Reserve(&c, c.Claims)
			if err != nil {
				t.Fatal(err)
			}
			s.Add(e, account, c.Now)
			if e, err = s.Refund(job, quota.Refund{Permille: 500}, c.Now); err != nil {
				t.Fatal(err)
			}
			s.Add(e, account, c.Now)
		}
		return s
	}
	text := func(s *quota.State) string {
		body, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	claim := quotatest.Weekly("ada", 100)

	shared := fill("center.lab")
	if changed, ttl, err := shared.Erase("center.lab", "ADA", false, quotatest.Noon); !changed || ttl != 0 || err != nil {
		t.Errorf("a shared account: %t %s %v", changed, ttl, err)
	}
	if got := text(shared); strings.Contains(got, `"ada"`) || strings.Count(got, `"grace"`) != 3 || strings.Count(got, `"erased"`) != 3 {
		t.Errorf("a shared account: %s", got)
	}
	if changed, _, err := shared.Erase("center.lab", "ada", false, quotatest.Noon); changed || err != nil {
		t.Errorf("a second time: %t %v", changed, err)
	}

	for name, c := range map[string]struct {
		forget bool
		weeks  int
		spent  quota.Amount
	}{
		"their own": {false, 0, 8 * quota.Unit}, "forgotten": {true, 0, 0}, "their own, a week later": {false, 1, 0},
	} {
		s, now := fill("ada"), quotatest.Noon.AddDate(0, 0, 7*c.weeks)
		_, ends := claim.Period.Window(now)
		changed, ttl, err := s.Erase("ada", "Ada", c.forget, now)
		if got := text(s); !changed || err != nil || strings.Contains(got, "ada") || strings.Contains(got, "p/1") {
			t.Errorf("%s: %t %v %s", name, changed, err, got)
		}
		if kept := strings.Contains(text(s), "buckets"); kept != (c.spent > 0) {
			t.Errorf("%s: of a period that is over something is kept: %t", name, kept)
		}
		if b, err := s.Balance(&claim, now); err != nil || b.Spent != c.spent || (c.spent > 0 && ttl != ends.Sub(now)) || ttl <= 0 {
			t.Errorf("%s: %+v, %v, kept for %s", name, b, err, ttl)
		}
	}

	open := fill("ada")
	c := quotatest.Charge("p/3", "a", 1, claim)
	if _, err := open.Reserve(&c, c.Claims); err != nil {
		t.Fatal(err)
	}
	before := text(open)
	if changed, _, err := open.Erase("ada", "aDa", false, quotatest.Noon); changed ||
		!errors.Is(err, quota.ErrOpen) || text(open) != before {
		t.Errorf("a job is being paid for: %t %v", changed, err)
	}
}
