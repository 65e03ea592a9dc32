package quota_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"pullprint/policy/quota"
	"pullprint/policy/quota/quotatest"
)

const week = 7 * 24 * time.Hour

// spend reserves and settles pages of a claim at a time.
func spend(t *testing.T, s *quota.State, claim quota.Claim, pages int64, now time.Time) {
	t.Helper()
	c := quotatest.Charge("p/"+now.String(), "a", pages, claim)
	c.Now = now
	if _, err := s.Reserve(&c, c.Claims); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Settle(c.Job, now); err != nil {
		t.Fatal(err)
	}
}

// left is what is left of a claim at a time, in pages, and when its period ends. The account stays as it is.
func left(t *testing.T, s *quota.State, claim quota.Claim, now time.Time) (pages quota.Amount, renews time.Time) {
	t.Helper()
	b, err := clone(t, s).Balance(&claim, now)
	if err != nil {
		t.Fatal(err)
	}
	return b.Left / quota.Unit, b.Renews
}

// What was spent by a clock that was weeks ahead counts in its own period, when that comes: not now, and
// not after it.
func TestClockFarAhead(t *testing.T) {
	s, claim := new(quota.State), quotatest.Weekly("ada", 100)
	then := quotatest.Noon.Add(10 * week)
	spend(t, s, claim, 30, then)
	spend(t, s, claim, 5, quotatest.Noon)
	for name, c := range map[string]struct {
		at   time.Time
		want quota.Amount
	}{
		"now": {quotatest.Noon, 95}, "next week": {quotatest.Noon.Add(week), 100},
		"when that time comes": {then, 70}, "the week after": {then.Add(week), 100},
	} {
		if got, _ := left(t, s, claim, c.at); got != c.want {
			t.Errorf("%s: %d pages are left, want %d", name, got, c.want)
		}
	}
}

// Where a replica has begun the next period, one whose clock is behind goes on in that: nothing is spent twice.
func TestClockOfAnotherReplicaAhead(t *testing.T) {
	s, claim := new(quota.State), quotatest.Weekly("ada", 100)
	spend(t, s, claim, 30, quotatest.Noon.Add(week))
	_, end := claim.Period.Window(quotatest.Noon.Add(week))
	if got, renews := left(t, s, claim, quotatest.Noon); got != 70 || !renews.Equal(end) {
		t.Errorf("%d pages are left until %s, want 70 until %s", got, renews, end)
	}
}

// A limit of the account's own counts in the periods in which it was set, and in no other.
func TestOwnLimitHasItsPeriod(t *testing.T) {
	s, claim, limit := new(quota.State), quotatest.Weekly("ada", 100), 7*quota.Unit
	if _, err := s.SetLimit(&limit, quota.Note{At: quotatest.Noon}); err != nil {
		t.Fatal(err)
	}
	for weeks, want := range map[time.Duration]quota.Amount{-1: 100, 0: 7, 1: 100} {
		if got, _ := left(t, s, claim, quotatest.Noon.Add(weeks*week)); got != want {
			t.Errorf("%d weeks on: %d pages are left, want %d", weeks, got, want)
		}
	}
}

// An account has so many adjustments at most; those of periods that are over make room.
func TestAdjustmentsAreBounded(t *testing.T) {
	const most = 200
	s, claim := new(quota.State), quotatest.Weekly("ada", 100)
	spend(t, s, claim, 1, quotatest.Noon)
	adjust := func(at time.Time) error {
		_, err := s.Adjust(quota.Unit, quota.Note{At: at})
		return err
	}
	for range most {
		if err := adjust(quotatest.Noon); err != nil {
			t.Fatal(err)
		}
	}
	if err := adjust(quotatest.Noon); !errors.Is(err, quota.ErrFull) || len(s.Adjusted) != most {
		t.Errorf("one more: %v, of %d", err, len(s.Adjusted))
	}
	later := quotatest.Noon.Add(week)
	spend(t, s, claim, 1, later)
	if err := adjust(later); err != nil || len(s.Adjusted) > most {
		t.Errorf("a week later: %v, of %d", err, len(s.Adjusted))
	}
}

// The names of a job and of a try have a bound: both are stored in each account that pays.
func TestChargeNamesAreBounded(t *testing.T) {
	claim := quotatest.Weekly("ada", 100)
	for _, length := range []int{256, 257} {
		name := strings.Repeat("x", length)
		for _, c := range []quota.Charge{quotatest.Charge(name, "a", 1, claim), quotatest.Charge("p/1", name, 1, claim)} {
			if err := c.Check(); errors.Is(err, quota.ErrCharge) != (length > 256) {
				t.Errorf("%d bytes: %v", length, err)
			}
		}
	}
}

// To restore what is there changes nothing, and has no entry.
func TestRestoreOfTheSame(t *testing.T) {
	s, claim := new(quota.State), quotatest.Weekly("ada", 100)
	c := quotatest.Charge("p/1", "a", 3, claim)
	if _, err := s.Reserve(&c, c.Claims); err != nil {
		t.Fatal(err)
	}
	before := *s.Reservations[c.Job]
	before.Periods = maps.Clone(before.Periods)
	if e, err := s.Restore(&c, &before); err != nil || e.Kind != "" {
		t.Errorf("%+v, %v", e, err)
	}
	before.Attempt = "earlier"
	if e, err := s.Restore(&c, &before); err != nil || e.Kind != quota.Reserved || s.Reservations[c.Job].Attempt != "earlier" {
		t.Errorf("of another try: %+v, %v", e, err)
	}
	if got, _ := left(t, s, claim, quotatest.Noon); got != 97 {
		t.Errorf("%d pages are left", got)
	}
}
