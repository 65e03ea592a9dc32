package notice

import (
	"slices"
	"testing"
	"time"

	"pullprint/connector/decision"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

const (
	owner    = "11111111-2222-4333-8444-555555555555"
	delegate = "99999999-2222-4333-8444-555555555555"
)

// People are told of what they have not seen themselves, and of what others did.
func TestOf(t *testing.T) {
	found := &decision.Answer{ReadBack: true}
	for _, c := range []struct {
		name string
		d    decision.Decision
		want string
	}{
		{"held on arrival", decision.Decision{Verdict: "hold", Asked: decision.AskedByArrival}, ""},
		{"printed on arrival", decision.Decision{Verdict: "complete", Asked: decision.AskedByArrival}, ""},
		{"aborted on arrival", decision.Decision{Verdict: "abort", Asked: decision.AskedByArrival}, Aborted},
		{"aborted, of an earlier version", decision.Decision{Verdict: "abort"}, Aborted},
		{"aborted before the owner's eyes", decision.Decision{Verdict: "abort", Asked: decision.AskedByBadge}, ""},
		{"canceled by the owner", decision.Decision{Verdict: "abort", Reason: "canceled.by-owner", Asked: decision.AskedByStation}, ""},
		{"deleted on one's own page", decision.Decision{Verdict: "abort", Reason: "canceled.by-owner", Asked: decision.AskedBySignIn}, ""},
		{"canceled by an administrator", decision.Decision{Verdict: "abort", Asked: decision.AskedByToken, Actor: "help desk"}, Aborted},
		{"canceled as the person is erased", decision.Decision{Verdict: "abort", Asked: decision.AskedByErasure}, ""},
		{"self-test", decision.Decision{Verdict: "abort", Reason: "selftest.passed", Asked: decision.AskedByArrival}, ""},
		{"the hold ended", decision.Decision{Verdict: "abort", Reason: "hold.expired", Asked: decision.AskedBySweep}, HoldExpired},
		{"kept before the owner's eyes", decision.Decision{Verdict: "keep", Asked: decision.AskedByBadge}, ""},
		{"kept, a badge with a token", decision.Decision{Verdict: "keep", Asked: decision.AskedByBadgeToken, Actor: "reader"}, ""},
		{"kept, told on a phone", decision.Decision{Verdict: "keep", Asked: decision.AskedByPhone}, ""},
		{"kept, told from afar", decision.Decision{Verdict: "keep", Asked: decision.AskedByRemote}, ""},
		{"kept after the owner left", decision.Decision{Verdict: "keep", Asked: decision.AskedByStation, Answer: found}, Kept},
		{"kept for a delegate", decision.Decision{Verdict: "keep", Asked: decision.AskedByBadge, Actor: delegate}, Kept},
		{"released by the owner", decision.Decision{Verdict: "redirect", Asked: decision.AskedByBadge}, ""},
		{"released by the owner, in capitals", decision.Decision{Verdict: "redirect", Asked: decision.AskedByBadge, Actor: owner}, ""},
		{"released by a delegate", decision.Decision{
			Verdict: "redirect", Asked: decision.AskedByStation,
			Actor: delegate,
		}, ReleasedByAnother},
		{"released by the help desk", decision.Decision{Verdict: "redirect", Asked: decision.AskedByToken, Actor: "x"}, ReleasedByAnother},
	} {
		c.d.ID, c.d.Owner = "task:arrival", owner
		got := Of(&c.d, DefaultLow)
		switch {
		case c.want == "" && len(got) > 0:
			t.Errorf("%s: %+v", c.name, got)
		case c.want != "" && (len(got) != 1 || got[0].Kind != c.want || got[0].ID != "task:arrival:"+c.want):
			t.Errorf("%s: %+v, want %s", c.name, got, c.want)
		}
		if c.d.Owner = ""; len(Of(&c.d, DefaultLow)) > 0 {
			t.Errorf("%s: a notice to nobody", c.name)
		}
	}
}

// The owner's account is told of while little or nothing is left of it for a period, under one id for
// each; neither before, nor of an account that is not theirs.
func TestOfBudget(t *testing.T) {
	pages := func(n int) quota.Amount { return quota.Amount(n) * quota.Unit }
	renews := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		key                    string
		limit, left, cost, low int
		want                   string
	}{
		{owner, 100, 50, 10, 10, ""},
		{owner, 100, 13, 2, 10, ""},
		{owner, 100, 12, 2, 10, BudgetLow},
		{owner, 100, 10, 2, 10, BudgetLow},
		{owner, 100, 30, 10, 25, BudgetLow},
		{owner, 100, 10, 10, 10, BudgetExhausted},
		{owner, 100, 50, 50, 10, BudgetExhausted},
		{owner, 100, 0, 1, 10, BudgetExhausted},
		{owner, 100, 12, 0, 10, ""},
		{"group.students", 100, 12, 2, 10, ""},
		{delegate, 100, 12, 2, 10, ""},
	} {
		for _, verdict := range []string{"complete", "hold", "abort"} {
			d := decision.Decision{
				ID: "task:arrival", At: time.Now(), Owner: owner, Verdict: verdict, Cost: pages(c.cost),
				Ref:   graph.Ref{Printer: "p", Job: "1"},
				Asked: decision.AskedByStation,
			}
			d.Input.Balances = []decision.Account{{Key: c.key, Limit: pages(c.limit), Left: pages(c.left), Renews: renews}}
			var got, id string
			for _, n := range Of(&d, c.low) {
				if got = n.Kind; n.Left != nil {
					id = n.ID
				}
			}
			want, wantID := c.want, ""
			if verdict != "complete" {
				want = ""
			}
			if want != "" {
				wantID = "budget:" + owner + ":2026-04-01T00:00:00Z:" + want
			}
			if got != want && verdict != "abort" || id != wantID {
				t.Errorf("%s of %d, %d of %d left, costs %d: %q, want %q, id %q", verdict, c.limit, c.left, c.limit, c.cost, got, want, id)
			}
			if d.Input.Balances[0].Renews = (time.Time{}); verdict == "complete" && len(Of(&d, c.low)) > 0 {
				t.Error("told of a decision that does not say its period")
			}
		}
	}
}

// Each kind is listed, as templates and series are made of the list.
func TestKinds(t *testing.T) {
	for _, kind := range []string{Aborted, Kept, HoldEnding, HoldExpired, BudgetLow, BudgetExhausted, ReleasedByAnother, BadgeEnrolled} {
		if !slices.Contains(Kinds, kind) {
			t.Errorf("%s is not in the list", kind)
		}
	}
}
