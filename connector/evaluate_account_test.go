package connector_test

import (
	"slices"
	"testing"

	"pullprint/connector/bus/bustest"
	"pullprint/policy/quota"
	"pullprint/trigger/graph/graphtest"
)

// What is on an account names the queues of its jobs, and an account without an allowance
// the shared ones that have some.
func TestStandingNames(t *testing.T) {
	w := newWorld(t, bustest.Open(t), graphtest.Calm())
	l := w.live("", withPolicy(t, `
prices: {page: 1}
merge: strictest
reserve: arrival
allowances:
  - {name: personal, when: 'true', pages: 50, every: week}
  - {name: sales, account: center/sales, when: '"sales" in user.groups', pages: 50, every: week}
  - {name: fair, account: group/fair, when: '"fair" in user.groups', pages: 50, every: week}
unmatched: free
`))
	_, d := w.print(graphtest.JobSpec{Printer: pullID, Pages: 3})
	l.worker.Handle(l.ctx, d)
	s, err := l.evaluator.AccountStatus(l.ctx, quota.Account{Kind: quota.User, Name: studentID})
	if err != nil || len(s.Stored.Reservations) != 1 || len(s.Queues) != 1 || s.Queues[pullID] != "Follow-Me" || s.Known != nil {
		t.Errorf("%+v, %v", s, err)
	}
	s, err = l.evaluator.AccountStatus(l.ctx, quota.Account{Kind: quota.Center, Name: "sale"})
	if err != nil || !slices.Equal(s.Known, []string{"center.sales", "group.fair"}) {
		t.Errorf("%+v, %v", s, err)
	}
	s, err = l.evaluator.AccountStatus(l.ctx, quota.Account{Kind: quota.Center, Name: "sales"})
	if err != nil || len(s.Balances) != 1 || s.Known != nil {
		t.Errorf("%+v, %v", s, err)
	}
}
