package quotatest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
)

// Noon is when the suite plays: a Wednesday.
var Noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

// Weekly is a claim on an account, in pages a week.
func Weekly(account string, pages int64) quota.Claim {
	p, err := quota.ParsePeriod(quota.Week, "", time.UTC)
	if err != nil {
		panic(err)
	}
	a, err := quota.ParseAccount(account)
	if err != nil {
		panic(err)
	}
	return quota.Claim{Account: a, Limit: quota.Amount(pages) * quota.Unit, Period: p, Names: []string{"weekly"}}
}

// Charge is what a job of some pages costs those who pay.
func Charge(job, attempt string, pages int64, claims ...quota.Claim) quota.Charge {
	return quota.Charge{
		Job: job, Attempt: attempt, Owner: "ada", Amount: quota.Amount(pages) * quota.Unit, Claims: claims, Now: Noon,
	}
}

// Run plays the suite on stores that are empty at first.
func Run(t *testing.T, fresh func(t *testing.T) ledger.KV) {
	for name, play := range map[string]func(*testing.T, *ledger.Ledger, *History){
		"a job is reserved, and spent": spent, "a refund": refund, "a void": void, "the same again": again,
		"two accounts": two, "the last page": lastPage,
		"own limit and adjustment": changed, "two ledgers": nil,
	} {
		t.Run(name, func(t *testing.T) {
			kv, h := fresh(t), &History{}
			if play == nil {
				rivals(t, kv)
				return
			}
			play(t, ledger.New(kv, h, rand.Text), h)
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// holds looks what is on an account.
func holds(t *testing.T, l *ledger.Ledger, c quota.Claim, spent, reserved, left int64) {
	t.Helper()
	list, err := l.Balances(t.Context(), []quota.Claim{c}, Noon)
	must(t, err)
	b := list[0]
	if b.Spent != quota.Amount(spent)*quota.Unit || b.Reserved != quota.Amount(reserved)*quota.Unit ||
		b.Left != quota.Amount(left)*quota.Unit {
		t.Fatalf("spent %s, reserved %s, left %s; want %d %d %d", b.Spent, b.Reserved, b.Left, spent, reserved, left)
	}
	if b.Spent+b.Reserved+b.Left != b.Limit+b.Carried+b.Adjusted {
		t.Fatalf("%+v does not add up", b)
	}
}

func accounts(claims ...quota.Claim) (list []quota.Account) {
	for _, c := range claims {
		list = append(list, c.Account)
	}
	return list
}

func spent(t *testing.T, l *ledger.Ledger, h *History) {
	c := Weekly("ada", 10)
	holds(t, l, c, 0, 0, 10)
	must(t, l.Reserve(t.Context(), Charge("p/1", "a", 4, c)))
	holds(t, l, c, 0, 4, 6)
	var ex *quota.Exhausted
	if err := l.Reserve(t.Context(), Charge("p/2", "a", 7, c)); !errors.As(err, &ex) || ex.Short != quota.Unit ||
		ex.Balance.Left != 6*quota.Unit {
		t.Fatalf("%v", err)
	}
	for range 2 {
		_, err := l.Settle(t.Context(), "p/1", accounts(c), Noon)
		must(t, err)
		holds(t, l, c, 4, 0, 6)
	}
	if err := l.Reserve(t.Context(), Charge("p/1", "b", 4, c)); !errors.Is(err, quota.ErrEnded) {
		t.Fatalf("a job that was settled: %v", err)
	}
	if n := h.Entries(`"kind"`); n != 2 {
		t.Errorf("%d entries", n)
	}
}

func refund(t *testing.T, l *ledger.Ledger, _ *History) {
	c := Weekly("ada", 100)
	for i, want := range []int64{8, 2, 0} { // half of 16, then what a cap of 10 leaves
		job := fmt.Sprintf("p/%d", i)
		must(t, l.Reserve(t.Context(), Charge(job, "a", 16, c)))
		back, err := l.Refund(t.Context(), job, accounts(c),
			quota.Refund{Permille: 500, PerDay: 10 * quota.Unit, Why: "aborted"}, Noon)
		must(t, err)
		if back != quota.Amount(want)*quota.Unit {
			t.Fatalf("%d: %s back, want %d", i, back, want)
		}
		_, err = l.Refund(t.Context(), job, accounts(c), quota.Refund{Permille: 1000}, Noon)
		must(t, err)
	}
	holds(t, l, c, 38, 0, 62)
}

func void(t *testing.T, l *ledger.Ledger, _ *History) {
	c := Weekly("ada", 10)
	must(t, l.Reserve(t.Context(), Charge("p/1", "a", 4, c)))
	must(t, l.Reserve(t.Context(), Charge("p/1", "b", 4, c)))
	if done, err := l.Void(t.Context(), "p/1", "a", accounts(c), Noon); done || err != nil {
		t.Fatalf("the reservation of a newer try was given back: %v", err)
	}
	holds(t, l, c, 0, 4, 6)
	if done, err := l.Void(t.Context(), "p/1", "b", accounts(c), Noon); !done || err != nil {
		t.Fatal(done, err)
	}
	holds(t, l, c, 0, 0, 10)
	must(t, l.Reserve(t.Context(), Charge("p/1", "c", 10, c)))
	holds(t, l, c, 0, 10, 0)
}

func again(t *testing.T, l *ledger.Ledger, _ *History) {
	c := Weekly("ada", 10)
	for range 3 {
		must(t, l.Reserve(t.Context(), Charge("p/1", "a", 6, c)))
	}
	holds(t, l, c, 0, 6, 4)
	must(t, l.Reserve(t.Context(), Charge("p/1", "a", 9, c))) // its own does not stand in its way
	holds(t, l, c, 0, 9, 1)
	if err := l.Reserve(t.Context(), Charge("p/1", "a", 11, c)); err == nil {
		t.Fatal("more than there is")
	}
	holds(t, l, c, 0, 9, 1)
}

func two(t *testing.T, l *ledger.Ledger, _ *History) {
	a, b := Weekly("ada", 10), Weekly("center.lab", 5)
	must(t, l.Reserve(t.Context(), Charge("p/1", "a", 4, b, a)))
	holds(t, l, a, 0, 4, 6)
	holds(t, l, b, 0, 4, 1)
	var ex *quota.Exhausted
	if err := l.Reserve(t.Context(), Charge("p/2", "a", 2, a, b)); !errors.As(err, &ex) ||
		ex.Balance.Account != b.Account {
		t.Fatalf("%v", err)
	}
	holds(t, l, a, 0, 4, 6)
	_, err := l.Settle(t.Context(), "p/1", accounts(a, b), Noon)
	must(t, err)
	holds(t, l, a, 4, 0, 6)
	holds(t, l, b, 4, 0, 1)
}

func changed(t *testing.T, l *ledger.Ledger, _ *History) {
	c := Weekly("ada", 10)
	limit := 3 * quota.Unit
	must(t, l.SetLimit(t.Context(), c.Account, &limit, quota.Note{By: "admin", Why: "less", At: Noon}))
	holds(t, l, c, 0, 0, 3)
	must(t, l.Adjust(t.Context(), c.Account, 2*quota.Unit, quota.Note{By: "admin", Why: "a gift", At: Noon}))
	holds(t, l, c, 0, 0, 5)
	must(t, l.SetLimit(t.Context(), c.Account, nil, quota.Note{By: "admin", At: Noon}))
	holds(t, l, c, 0, 0, 12)
	list, err := l.Balances(t.Context(), []quota.Claim{c}, Noon.AddDate(0, 0, 7))
	must(t, err)
	if list[0].Left != 10*quota.Unit {
		t.Errorf("next week %s", list[0].Left)
	}
}

// lastPage has 64 at once want what there is once.
func lastPage(t *testing.T, l *ledger.Ledger, _ *History) {
	c := Weekly("center.lab", 1)
	var all sync.WaitGroup
	won := make([]bool, 64)
	for i := range won {
		all.Go(func() {
			err := l.Reserve(t.Context(), Charge(fmt.Sprintf("p/%d", i), "a", 1, c))
			var ex *quota.Exhausted
			if won[i] = err == nil; err != nil && !errors.As(err, &ex) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	n := 0
	for _, w := range won {
		if w {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d got the last page", n)
	}
	holds(t, l, c, 0, 1, 0)
}

// rivals are several ledgers on one store, as several processes are.
func rivals(t *testing.T, kv ledger.KV) {
	c := Weekly("center.lab", 20)
	h := &History{}
	var all sync.WaitGroup
	for i := range 8 {
		l := ledger.New(kv, h, rand.Text)
		all.Go(func() {
			for n := range 10 {
				err := l.Reserve(t.Context(), Charge(fmt.Sprintf("p/%d-%d", i, n), "a", 1, c))
				var ex *quota.Exhausted
				if err != nil && !errors.As(err, &ex) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	l := ledger.New(kv, h, rand.Text)
	holds(t, l, c, 0, 20, 0)
	n := 0
	must(t, l.Open(t.Context(), func(quota.Account, quota.Reservation) error { n++; return nil }))
	if n != 20 || h.Entries(`"reserve"`) != 20 {
		t.Errorf("%d open, %d in the history", n, h.Entries(`"reserve"`))
	}
}
