package quota_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pullprint/policy/quota"
)

// model is an account as one would have it on paper: a list of all that happened. What is
// on the account is reckoned anew from the list, window after window.
type model struct {
	claims []*quota.Claim
	first  []time.Time // the window in which each claim was used first; zero before
	jobs   map[string]*modelJob
	given  []modelGift
}

type modelJob struct {
	attempt string
	starts  []time.Time // of its window, by claim
	open    bool
	ended   time.Time
	cost    quota.Amount // what is reserved, or stays spent
}

type modelGift struct {
	at     time.Time
	amount quota.Amount
}

// left is what a claim has left, what is spent and what is reserved in the window of now;
// without is a job that is left out.
func (m *model) left(i int, now time.Time, without string) (left, spent, reserved quota.Amount) {
	c := m.claims[i]
	start, end := c.Period.Window(now)
	at := start
	if f := m.first[i]; !f.IsZero() {
		at = f
	}
	carried := quota.Amount(0)
	for {
		from, to := c.Period.Window(at)
		spent, reserved = 0, 0
		for name, j := range m.jobs {
			if name == without || !j.starts[i].Equal(from) {
				continue
			}
			if j.open {
				reserved += j.cost
			} else {
				spent += j.cost
			}
		}
		left = c.Limit + carried - spent - reserved
		for _, g := range m.given {
			if !g.at.Before(from) && g.at.Before(to) {
				left += g.amount
			}
		}
		if to.Equal(end) {
			return left, spent, reserved
		}
		carried, at = min(left, c.CarryOver), to
	}
}

// account is a State as the ledger has one: each change is made on a copy that is stored and
// read again, and a change without an entry is not kept.
type account struct {
	t      *rapid.T
	stored []byte
	model  model
	now    time.Time
	n      int
}

func (a *account) load() *quota.State {
	if a.stored == nil {
		return new(quota.State)
	}
	s, err := quota.Decode(a.stored)
	if err != nil {
		a.t.Fatalf("what was stored can't be read: %v\n%s", err, a.stored)
	}
	return s
}

func (a *account) change(fn func(*quota.State) (quota.Entry, error)) (quota.Entry, error) {
	s := a.load()
	e, err := fn(s)
	if err != nil || e.Kind == "" {
		return e, err
	}
	s.Add(e, "ada", a.now)
	s.Outbox = nil // as if it were published
	if a.stored, err = json.Marshal(s); err != nil {
		a.t.Fatal(err)
	}
	return e, nil
}

func (a *account) charge(job, attempt string, amount quota.Amount) *quota.Charge {
	c := &quota.Charge{Job: job, Attempt: attempt, Owner: "ada", Amount: amount, Now: a.now}
	for _, claim := range a.model.claims {
		c.Claims = append(c.Claims, *claim)
	}
	return c
}

func (a *account) starts() (list []time.Time) {
	for _, c := range a.model.claims {
		start, _ := c.Period.Window(a.now)
		list = append(list, start)
	}
	return list
}

// job is one of those there are, or a new one.
func (a *account) job() string {
	names := []string{fmt.Sprintf("p/%d", a.n)}
	for name, j := range a.model.jobs {
		if j.open || a.now.Sub(j.ended) < 24*time.Hour { // an account remembers no longer how a job ended
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return rapid.SampledFrom(names).Draw(a.t, "job")
}

func (a *account) reserve() {
	name, amount := a.job(), quota.Amount(rapid.IntRange(0, 9).Draw(a.t, "pages"))*quota.Unit
	attempt, printed := fmt.Sprint(a.n), rapid.IntRange(0, 9).Draw(a.t, "printed") == 0
	a.n++
	j := a.model.jobs[name]
	if j != nil && rapid.Bool().Draw(a.t, "same") {
		amount = j.cost
	}
	fits := true
	for i, c := range a.model.claims {
		left, _, _ := a.model.left(i, a.now, name)
		fits = fits && (amount == 0 || left+c.Overdraft >= amount)
	}
	c := a.charge(name, attempt, amount)
	c.Printed = printed
	_, err := a.change(func(s *quota.State) (quota.Entry, error) { return s.Reserve(c, c.Claims) })
	same := j != nil && j.open && j.cost == amount && (printed || slices.EqualFunc(j.starts, a.starts(), time.Time.Equal))
	switch {
	case j != nil && !j.open:
		if !errors.Is(err, quota.ErrEnded) {
			a.t.Fatalf("%s had ended: %v", name, err)
		}
	case same:
		if err != nil {
			a.t.Fatalf("%s, the same again: %v", name, err)
		}
		j.attempt = attempt
	case !fits && !printed:
		if !errors.As(err, new(*quota.Exhausted)) {
			a.t.Fatalf("%s for %s, for which there is no room: %v", name, amount, err)
		}
	case err != nil:
		a.t.Fatalf("%s for %s: %v", name, amount, err)
	default:
		a.model.jobs[name] = &modelJob{attempt: attempt, starts: a.starts(), open: true, cost: amount}
		for i, start := range a.starts() {
			if a.model.first[i].IsZero() {
				a.model.first[i] = start
			}
		}
	}
}

func (a *account) end(fn func(s *quota.State, job string) (quota.Entry, error), want func(*modelJob, quota.Entry)) {
	name := a.job()
	e, err := a.change(func(s *quota.State) (quota.Entry, error) { return fn(s, name) })
	j := a.model.jobs[name]
	was := j != nil && j.open
	if err != nil || (e.Kind != "" && !was) {
		a.t.Fatalf("%s: %+v, %v", name, e, err)
	}
	if was {
		want(j, e)
	}
}

// Whatever is done in whatever order, over changes of the clocks and with two periods on one
// account, what is on it is what the list of all that happened gives, and it is never more
// than what it has.
func TestStateIsItsHistory(t *testing.T) {
	zone := mustZone(t, "Europe/Zurich")
	periods := []quota.Period{period(t, quota.Day, "", zone), period(t, quota.Week, "", zone)}
	rapid.Check(t, func(t *rapid.T) {
		a := &account{t: t, now: time.Date(2026, 3, 27, 12, 0, 0, 0, zone)}
		a.model.jobs, a.model.first = map[string]*modelJob{}, make([]time.Time, 2)
		for _, p := range periods {
			a.model.claims = append(a.model.claims, &quota.Claim{
				Account: quota.Account{Kind: quota.User, Name: "ada"}, Period: p, Names: []string{p.String()},
				Limit:     quota.Amount(rapid.IntRange(0, 20).Draw(t, "limit")) * quota.Unit,
				CarryOver: quota.Amount(rapid.IntRange(0, 9).Draw(t, "carry over")) * quota.Unit,
				Overdraft: quota.Amount(rapid.IntRange(0, 3).Draw(t, "overdraft")) * quota.Unit,
			})
		}
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) { a.t = t; a.reserve() },
			"settle": func(t *rapid.T) {
				a.t = t
				a.end(func(s *quota.State, job string) (quota.Entry, error) { return s.Settle(job, a.now) },
					func(j *modelJob, _ quota.Entry) { j.open, j.ended = false, a.now })
			},
			"refund": func(t *rapid.T) {
				a.t = t
				how := quota.Refund{Permille: rapid.Int64Range(0, 1000).Draw(t, "part")}
				a.end(func(s *quota.State, job string) (quota.Entry, error) { return s.Refund(job, how, a.now) },
					func(j *modelJob, e quota.Entry) {
						if want := j.cost / 1000 * quota.Amount(how.Permille); e.Amount != want {
							t.Fatalf("%s back of %s, want %s", e.Amount, j.cost, want)
						}
						j.open, j.ended, j.cost = false, a.now, j.cost-e.Amount
					})
			},
			"void": func(t *rapid.T) {
				a.t = t
				name := a.job()
				j := a.model.jobs[name]
				attempt := rapid.SampledFrom([]string{"", "another"}).Draw(t, "attempt")
				if j != nil && rapid.Bool().Draw(t, "newest") {
					attempt = j.attempt
				}
				e, err := a.change(func(s *quota.State) (quota.Entry, error) { return s.Void(name, attempt) })
				want := j != nil && j.open && attempt != "another"
				if err != nil || (e.Kind == quota.Voided) != want {
					t.Fatalf("%s by %q: %+v, %v", name, attempt, e, err)
				}
				if want {
					delete(a.model.jobs, name)
				}
			},
			"adjust": func(t *rapid.T) {
				a.t = t
				amount := quota.Amount(rapid.IntRange(-9, 9).Draw(t, "pages")) * quota.Unit
				if _, err := a.change(func(s *quota.State) (quota.Entry, error) {
					return s.Adjust(amount, quota.Note{By: "it", At: a.now})
				}); err != nil {
					t.Fatal(err)
				}
				a.model.given = append(a.model.given, modelGift{a.now, amount})
			},
			"later": func(t *rapid.T) {
				hours := rapid.SampledFrom([]int{1, 7, 12, 25, 80}).Draw(t, "hours") // over a midnight as often as not
				a.now = a.now.Add(time.Duration(hours) * time.Hour)
			},
			"": func(t *rapid.T) { a.t = t; a.check() },
		})
	})
}

// check holds the account to the model.
func (a *account) check() {
	for i, c := range a.model.claims {
		b, err := a.load().Balance(c, a.now)
		left, spent, reserved := a.model.left(i, a.now, "")
		if err != nil || b.Left != left || b.Spent != spent || b.Reserved != reserved {
			a.t.Fatalf("%s: left %s, spent %s, reserved %s (%v); the list gives %s, %s, %s",
				c.Names[0], b.Left, b.Spent, b.Reserved, err, left, spent, reserved)
		}
		if b.Spent+b.Reserved+b.Left != b.Limit+b.Carried+b.Adjusted {
			a.t.Fatalf("%+v does not add up", b)
		}
	}
}

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := quota.LoadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}
