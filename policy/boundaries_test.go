package policy_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
)

// decides reports whether a rule with an expression decides a request.
func decides(t *testing.T, settings, when string, r policy.Request) bool {
	t.Helper()
	const rule = "{name: r, at: %s, when: %q, verdict: abort, reason: a.b, text: a, remedy: b}"
	p := mustLoad(t, settings+rules(fmt.Sprintf(rule, r.Point, when)))
	d := p.Decide(r)
	if d.Err != "" {
		t.Errorf("%s: %s", when, d.Err)
	}
	return d.Rule == "r"
}

// Hours, days and dates are those that the clocks of a zone show: where they are put forward or
// back, at a new year, beyond the date line, and half an hour beside the others.
func TestClocks(t *testing.T) {
	for _, c := range []struct{ now, zone, shows string }{
		{"2026-03-29T00:59:59Z", "Europe/Zurich", "2026-03-29 01:59 Sun"},
		{"2026-03-29T01:00:00Z", "Europe/Zurich", "2026-03-29 03:00 Sun"}, // there is no 02:00
		{"2026-10-25T00:30:00Z", "Europe/Zurich", "2026-10-25 02:30 Sun"},
		{"2026-10-25T01:30:00Z", "Europe/Zurich", "2026-10-25 02:30 Sun"}, // once more
		{"2026-12-31T23:00:00Z", "Europe/Zurich", "2027-01-01 00:00 Fri"},
		{"2026-12-31T22:59:59Z", "Europe/Zurich", "2026-12-31 23:59 Thu"},
		{"2028-02-29T12:00:00Z", "Pacific/Kiritimati", "2028-03-01 02:00 Wed"},
		{"2028-02-29T12:00:00Z", "-11:30", "2028-02-29 00:30 Tue"},
		{"2026-04-04T15:15:00Z", "Australia/Lord_Howe", "2026-04-05 01:45 Sun"}, // put back by half an hour
		{"2011-12-30T09:59:59Z", "Pacific/Apia", "2011-12-29 23:59 Thu"},
		{"2011-12-30T10:00:00Z", "Pacific/Apia", "2011-12-31 00:00 Sat"}, // a day that never was
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		want, err := time.Parse("2006-01-02 15:04 Mon", c.shows)
		if err != nil {
			t.Fatal(err)
		}
		r := arriving(func(r *policy.Request) { r.Now, r.Job.Created = now, now })
		when := fmt.Sprintf("now.getFullYear('%[1]s') == %[2]d && now.getMonth('%[1]s') == %[3]d && now.getDate('%[1]s') == %[4]d && "+
			"now.getDayOfMonth('%[1]s') == %[5]d && now.getDayOfYear('%[1]s') == %[6]d && now.getDayOfWeek('%[1]s') == %[7]d",
			c.zone, want.Year(), want.Month()-1, want.Day(), want.Day()-1, want.YearDay()-1, want.Weekday())
		when += fmt.Sprintf(" && now.getHours('%[1]s') == %[2]d && now.getMinutes('%[1]s') == %[3]d", c.zone, want.Hour(), want.Minute())
		if !decides(t, "", when, r) {
			t.Errorf("%s in %s does not show %s", c.now, c.zone, c.shows)
		}
		if !decides(t, "zone: '"+c.zone+"'\n", fmt.Sprintf("job.hour == %d", want.Hour()), r) {
			t.Errorf("%s in %s: job.hour is not %d", c.now, c.zone, want.Hour())
		}
	}
}

// An owner is told when their budget renews by the clocks of the zone, also over a change.
func TestRenewsByTheClocks(t *testing.T) {
	p := mustLoad(t, "zone: Europe/Zurich\nallowances: [{name: all, when: 'true', pages: 5, every: day}]\n")
	for now, until := range map[string]string{
		"2026-03-28T22:59:59Z": "Sunday 29 March 2026 00:00 CET", "2026-03-28T23:00:00Z": "Monday 30 March 2026 00:00 CEST",
		"2026-10-24T22:00:00Z": "Monday 26 October 2026 00:00 CET", "2026-12-31T12:00:00Z": "Friday 1 January 2027 00:00 CET",
	} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		d := p.Decide(paying(t, p, "5", func(r *policy.Request) { r.Now, r.Job.Duplex = at, true }))
		if !strings.Contains(d.Sentence(), "until "+until+".") {
			t.Errorf("%s: %s", now, d.Sentence())
		}
	}
}

// The ends of what a request can have: nothing, and the greatest numbers.
func TestEnds(t *testing.T) {
	nothing := policy.Request{Point: policy.Arrival}
	greatest := arriving(release, func(r *policy.Request) {
		r.Job.Copies, r.Job.Pages, r.Job.Size = policy.MaxJob, policy.MaxPages, math.MaxInt64
	})
	for _, c := range []struct {
		when string
		req  policy.Request
	}{
		{"job.copies == 0 && job.size == 0 && job.mediaSize == '' && job.pages == 0 && job.sheets == 0", nothing},
		{"user.id == '' && user.upn == '' && size(user.groups) == 0 && !('Staff' in user.groups)", nothing},
		{"queue.name == '' && job.queue == '' && queue.mode == '' && device.id == ''", nothing},
		{"account.left > 9000000000000 && account.limit == account.left && account.spent == 0 && account.reserved == 0", nothing},
		{"job.size == 9223372036854775807", greatest},
		{fmt.Sprintf("job.pages == %d && job.sheets == job.pages", int64(policy.MaxPages)*policy.MaxJob), greatest},
	} {
		if !decides(t, "", c.when, c.req) {
			t.Errorf("%s is not true", c.when)
		}
	}
	for name, change := range map[string]func(*policy.Request){
		"pages":  func(r *policy.Request) { r.Job.Pages, r.Job.Size = policy.MaxPages+1, 1 },
		"copies": func(r *policy.Request) { r.Job.Copies, r.Job.Size = policy.MaxJob+1, 1 },
		"bytes":  func(*policy.Request) {},
	} {
		r := greatest
		change(&r)
		p := mustLoad(t, rules(`{name: r, at: release, when: 'job.pages > 0 && job.size + 1 > 0', verdict: redirect}`))
		if d := p.Decide(r); d.Verdict != policy.Keep || d.Reason != reasons.PolicyError || !strings.Contains(d.Err, "overflow") {
			t.Errorf("too many %s: %+v", name, d)
		}
	}
}

// A part of a unit is not one that a rule can count on: what is left is told in whole units,
// never more than there is, and a debt never smaller than it is.
func TestAccountInWholeUnits(t *testing.T) {
	p := mustLoad(t, "allowances: [{name: all, when: 'true', pages: 10, every: week}]\n")
	for left, want := range map[string]int{"2": 2, "1.999999": 1, "0.5": 0, "0": 0, "-0.000001": -1, "-1": -1, "-1.5": -2} {
		if when := fmt.Sprintf("account.left == %d", want); !decides(t, "", when, paying(t, p, left)) {
			t.Errorf("with %s left not: %s", left, when)
		}
	}
}

// Whatever a job costs and whatever is left, it is let go on exactly when what is left and the
// overdraft cover its cost, and a cheaper way that is offered is covered.
func TestLetGoOnWhenCovered(t *testing.T) {
	p := mustLoad(t, "prices: {page: 0.05, color: 0.25, duplex_discount: 0.2, currency: EUR}\n"+
		"allowances: [{name: all, when: 'true', money: 10, overdraft: 1, every: week}]\n")
	rapid.Check(t, func(rt *rapid.T) {
		r := arriving(release, func(r *policy.Request) {
			r.Job.Pages, r.Job.Copies = rapid.IntRange(0, 50).Draw(rt, "pages"), rapid.IntRange(1, 5).Draw(rt, "copies")
			r.Job.Color, r.Job.Duplex = rapid.Bool().Draw(rt, "color"), rapid.Bool().Draw(rt, "duplex")
			r.Job.PagesPerSheet = rapid.SampledFrom([]int{0, 1, 2, 3, 4, 16}).Draw(rt, "per sheet")
		})
		_, cost, err := p.Price(&r.Job)
		if err != nil {
			rt.Fatal(err)
		}
		r.Budget = p.Budget(r)
		b := r.Budget.Claims[0].Untouched(r.Now)
		near := rapid.Int64Range(-2, 2).Draw(rt, "near")
		b.Left = rapid.SampledFrom([]quota.Amount{0, cost, cost - b.Overdraft, cost / 2, -quota.Unit}).Draw(rt, "left") + quota.Amount(near)
		r.Budget.Balances = []quota.Balance{b}
		d := p.Decide(r)
		covered := cost == 0 || b.Left+b.Overdraft >= cost
		if covered != (d.Verdict == policy.Redirect) || d.Cost != cost {
			rt.Fatalf("%s left for %s: %+v", b.Left, cost, d)
		}
		if covered {
			return
		}
		if d.Verdict != policy.Keep || d.Reason != reasons.QuotaExhausted || d.Remedy == "" {
			rt.Fatalf("%+v", d)
		}
		if d.Variant != (policy.Settings{}) {
			d.Variant.Apply(&r.Job)
			if again := p.Decide(r); again.Verdict != policy.Redirect {
				rt.Fatalf("%s left, %s is offered and costs %s", b.Left, d.Variant, again.Cost)
			}
		}
	})
}
