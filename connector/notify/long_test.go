package notify_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/decision"
	"pullprint/connector/notice"
	"pullprint/connector/notify"
	"pullprint/policy/badge"
	"pullprint/policy/quota"
)

// A message waits however long everything is down: what is stored of its person has no end before it
// was sent.
func TestWaitsWithoutEnd(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{fail: func(notify.Message) error { return &notify.Down{Why: "no answer"} }}
		abort(t, b, anna, 1, "copies.too-many")
		if l := live(t, b, in, -1, 5*time.Minute); in.tries == 0 || l.kept != 0 {
			t.Errorf("%d tries, what waits is stored for %s", in.tries, l.kept)
		}
		in.fail = nil
		if l := live(t, b, in, -1, time.Hour); len(in.of(anna)) != 1 || l.kept != 7*24*time.Hour {
			t.Errorf("%q, stored for %s", in.of(anna), l.kept)
		}
	})
}

// After a restart with a clock that is a day ahead, a message goes on being tried.
func TestRestartWithAnotherClock(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{fail: func(notify.Message) error { return errors.New("450") }}
		abort(t, b, anna, 1, "copies.too-many")
		live(t, b, in, -1, 5*time.Minute)
		key := notify.Prefix + anna
		value, rev, err := b.State().Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		var box map[string]any
		if err := json.Unmarshal(value, &box); err != nil {
			t.Fatal(err)
		}
		before := time.Now().Add(-25 * time.Hour)
		box["waiting"].([]any)[0].(map[string]any)["first"] = before
		box["waiting"].([]any)[0].(map[string]any)["next"] = before
		if value, err = json.Marshal(box); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := b.State().CompareAndSet(t.Context(), key, value, rev, 0); err != nil || !ok {
			t.Fatal(ok, err)
		}
		live(t, b, in, -1, 3*time.Hour)
		if in.tries < 4 || len(dead(t, b)) != 0 {
			t.Errorf("%d tries, %d dead letters", in.tries, len(dead(t, b)))
		}
	})
}

// A person is told of a badge that was enrolled for them, once, whatever way it was and however often
// it is stored again.
func TestBadgeEnrolled(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		keys, err := badge.ParseKeys([]byte("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
		if err != nil {
			t.Fatal(err)
		}
		chain, err := badge.ParseChain([]string{"trim"})
		if err != nil {
			t.Fatal(err)
		}
		badges := badge.NewRegistry(b.Badges(), keys, chain)
		enrol := func(number string, e badge.Enrolment) {
			t.Helper()
			if e.Now.IsZero() {
				e.Now = time.Now()
			}
			e.Owner, e.By = anna, "help desk"
			if _, err := badges.Enrol(t.Context(), number, e); err != nil {
				t.Fatal(err)
			}
		}
		enrol("0000111122", badge.Enrolment{Now: time.Now().Add(-48 * time.Hour)}) // by a restore, or with a new key
		live(t, b, in, -1, 5*time.Minute)
		enrol("04a1b2c3", badge.Enrolment{})
		live(t, b, in, -1, 5*time.Minute)
		enrol("04a1b2c3", badge.Enrolment{Expires: time.Now().Add(time.Hour)})
		if _, err := badges.Revoke(t.Context(), badge.Which{Owner: anna}, "help desk", time.Now()); err != nil {
			t.Fatal(err)
		}
		live(t, b, in, -1, 2*time.Hour)
		if got := in.of(anna); len(got) != 1 || got[0] != "A badge was enrolled for you." {
			t.Errorf("%q", got)
		}
	})
}

// A person is told once a period that little is left, and once that nothing is, however many jobs they
// print then.
func TestBudgetOnceAPeriod(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		renews := time.Now().Add(20 * time.Hour)
		jobs := 0
		prints := func(left int) {
			t.Helper()
			jobs++
			d := decision.Decision{
				ID: "task" + string(rune('a'+jobs)), At: time.Now(), Verdict: "redirect", Owner: anna, Cost: quota.Unit,
				Asked: decision.AskedByBadge,
			}
			d.Input.Balances = []decision.Account{{
				Key: quota.Account{Kind: quota.User, Name: anna}.Key(), Limit: 100 * quota.Unit,
				Left: quota.Amount(left) * quota.Unit, Renews: renews,
			}}
			body, err := json.Marshal(&d)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.PublishDecision(t.Context(), d.Verdict, d.ID, body); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			prints(50)
			prints(9)
			prints(8)
			live(t, b, in, -1, 2*time.Hour)
			prints(7)
			prints(1)
			live(t, b, in, -1, 2*time.Hour)
		} // what was given back is spent again
		if got := in.of(anna); len(got) != 2 {
			t.Errorf("%q", got)
		}
		time.Sleep(time.Until(renews) + time.Hour) // virtual
		renews = renews.Add(20 * time.Hour)
		prints(5)
		live(t, b, in, -1, 2*time.Hour)
		if got := in.of(anna); len(got) != 3 {
			t.Errorf("in the next period: %q", got)
		}
	})
}

// Who does not want notices of a kind gets none of it, and the others.
func TestOptedOut(t *testing.T) {
	bustest.Virtual(t, func(t *testing.T) {
		b, in := bustest.Open(t), &inbox{}
		err := notice.NewChoices(b.State()).SetOff(t.Context(), anna, []string{notice.Aborted, notice.BadgeEnrolled})
		if err != nil {
			t.Fatal(err)
		}
		abort(t, b, anna, 1, "copies.too-many")
		abort(t, b, person(1), 1, "copies.too-many")
		for _, kind := range []string{notice.BadgeEnrolled, notice.Kept} {
			n := notice.Notice{ID: kind, Kind: kind, Owner: anna, Text: kind}
			if err := notice.Write(t.Context(), b, &n); err != nil {
				t.Fatal(err)
			}
		}
		live(t, b, in, -1, time.Hour)
		if got := in.of(anna); len(got) != 2 || strings.Contains(strings.Join(got, " "), "not printed") || len(in.of(person(1))) != 1 {
			t.Errorf("%q, and another %q", got, in.of(person(1)))
		}
		if n := len(dead(t, b)); n != 0 {
			t.Errorf("%d dead letters", n)
		}
	})
}
