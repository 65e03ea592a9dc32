package ledger_test

import (
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/policy/quota/quotatest"
)

// days is what an account should be like: each day reckoned anew from all that happened.
type days struct {
	limit, carryOver quota.Amount
	list             []day
}

type day struct {
	own                   *quota.Amount
	adjusted, spent, open quota.Amount
}

func (d *days) today() *day { return &d.list[len(d.list)-1] }

func (d *days) left() (left quota.Amount) {
	carried := quota.Amount(0)
	for _, x := range d.list {
		if left = d.limit; x.own != nil {
			left = *x.own
		}
		left += carried + x.adjusted - x.spent - x.open
		carried = min(left, d.carryOver)
	}
	return left
}

// reserved is a job that is open, and the day it counts in.
type reserved struct {
	job    string
	on     int
	amount quota.Amount
}

// daily plays on an account and on what it should be like.
type daily struct {
	days
	t     *testing.T
	dice  *rand.Rand
	l     *ledger.Ledger
	claim quota.Claim
	now   time.Time
	open  []reserved
	story []string
}

func newDaily(t *testing.T, seed uint64) *daily {
	t.Helper()
	dice := rand.New(rand.NewPCG(seed, 1))
	period, err := quota.ParsePeriod(quota.Day, "", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	p := &daily{
		t: t, dice: dice, now: quotatest.Noon, claim: quotatest.Weekly("ada", 0),
		l:    ledger.New(&quotatest.Memory{}, &quotatest.History{}, cryptorand.Text),
		days: days{quota.Amount(dice.IntN(30)), quota.Amount(dice.IntN(20)), []day{{}}},
	}
	p.claim.Period, p.claim.Limit, p.claim.CarryOver = period, p.limit, p.carryOver
	p.reserve("first", 0) // an account begins when it is used
	return p
}

func (p *daily) reserve(job string, n quota.Amount) {
	c := quotatest.Charge(job, "a", 0, p.claim)
	c.Amount, c.Now = n, p.now
	err := p.l.Reserve(p.t.Context(), c)
	p.story = append(p.story, fmt.Sprintf("reserve %d: %v", n, err))
	if full := n > 0 && p.left() < n; full != errors.As(err, new(*quota.Exhausted)) || !full && err != nil {
		p.t.Fatalf("%d of %d: %v\n%v", n, p.left(), err, p.story)
	}
	if err == nil {
		p.today().open += n
		p.open = append(p.open, reserved{job, len(p.list) - 1, n})
	}
}

// end ends an open job.
func (p *daily) end() (err error) {
	if len(p.open) == 0 {
		return nil
	}
	r := p.open[0]
	p.open = p.open[1:]
	spent, accounts := r.amount, []quota.Account{p.claim.Account}
	how := p.dice.IntN(3)
	switch how {
	case 0:
		_, err = p.l.Settle(p.t.Context(), r.job, accounts, p.now)
	case 1:
		_, err = p.l.Void(p.t.Context(), r.job, "", accounts, p.now)
		spent = 0
	case 2:
		var back quota.Amount
		back, err = p.l.Refund(p.t.Context(), r.job, accounts, quota.Refund{Permille: 500}, p.now)
		spent -= back
	}
	p.list[r.on].open -= r.amount
	p.list[r.on].spent += spent
	p.story = append(p.story, fmt.Sprintf("end %d of day %d by %d", r.amount, r.on, how))
	return err
}

func (p *daily) step(i int) error {
	n := quota.Amount(p.dice.IntN(40))
	switch p.dice.IntN(8) {
	case 0, 1:
		p.reserve(fmt.Sprint("p/", i), n/3)
	case 2, 3:
		return p.end()
	case 4:
		p.today().own = &n
		if p.dice.IntN(3) == 0 {
			p.today().own = nil
		}
		p.story = append(p.story, fmt.Sprintf("set %d (%t)", n, p.today().own != nil))
		return p.l.SetLimit(p.t.Context(), p.claim.Account, p.today().own, quota.Note{By: "it", At: p.now})
	case 5:
		p.today().adjusted += n/2 - 8
		p.story = append(p.story, fmt.Sprintf("adjust %d", n/2-8))
		return p.l.Adjust(p.t.Context(), p.claim.Account, n/2-8, quota.Note{By: "it", At: p.now})
	default:
		more := max(1, int(n)/8)
		p.list = append(p.list, make([]day, more)...)
		p.now = p.now.AddDate(0, 0, more)
		p.story = append(p.story, fmt.Sprintf("%d days pass", more))
	}
	return nil
}

// Whatever is reserved, ended late, set and given, in whatever order with the days: the account
// has what is left when each day is reckoned anew.
func TestDaysReckonedAnew(t *testing.T) {
	for seed := range uint64(200) {
		p := newDaily(t, seed)
		for i := range 25 {
			err := p.step(i)
			b, berr := p.l.Balances(t.Context(), []quota.Claim{p.claim}, p.now)
			if err := errors.Join(err, berr); err != nil || b[0].Left != p.left() {
				t.Fatalf("seed %d: limit %d, %d are carried over; left %d, want %d (%v)\n%v", seed, p.limit, p.carryOver, b[0].Left,
					p.left(), err, p.story)
			}
		}
	}
}
