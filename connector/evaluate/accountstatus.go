package evaluate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pullprint/connector/job"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/policy/quota/ledger"
	"pullprint/trigger/graph"
)

// AccountStatus is the state of an account.
type AccountStatus struct {
	// Account is its key: an Entra object id, group.NAME or center.NAME.
	Account  string    `json:"account"`
	Balances []Balance `json:"balances"`
	// Stored is what is stored of it, whatever the policy.
	Stored ledger.View `json:"stored"`
	// Queues are the names of the queues whose jobs are told of, by the printer that a
	// job is named with.
	Queues map[string]string `json:"queues,omitempty"`
	// Known are the shared accounts that allowances are for, when none is for this one.
	Known []string `json:"known,omitempty"`
	// NoUser says that Entra knows no user with this object id: it is mistyped, or the account
	// was deleted.
	NoUser bool `json:"no_user,omitempty"`
}

// Balance is the balance of an account in a period by some allowances, in units.
type Balance struct {
	Allowances []string     `json:"allowances"`
	Limit      quota.Amount `json:"limit"`
	Carried    quota.Amount `json:"carried,omitzero"`
	Adjusted   quota.Amount `json:"adjusted,omitzero"`
	Spent      quota.Amount `json:"spent"`
	Reserved   quota.Amount `json:"reserved"`
	Left       quota.Amount `json:"left"`
	Overdraft  quota.Amount `json:"overdraft,omitzero"`
	Start      time.Time    `json:"start"`
	Renews     time.Time    `json:"renews"`
}

// AccountStatus returns the state of an account by the policy in force. For a person, the
// allowances count that apply whatever the job.
func (e *Evaluator) AccountStatus(ctx context.Context, a quota.Account) (AccountStatus, error) {
	p, now := e.policy(), time.Now()
	out := AccountStatus{Account: a.Key(), Balances: []Balance{}}
	var err error
	if out.Stored, err = e.ledger.View(ctx, a); err != nil {
		return out, fmt.Errorf("read account: %w", err)
	}
	for i := range out.Stored.Reservations {
		e.NameQueue(&out.Queues, out.Stored.Reservations[i].Job)
	}
	var claims []quota.Claim
	if a.Kind == quota.User {
		claims, out.NoUser, err = e.personalClaims(ctx, p, a, now)
	} else if claims, err = p.ClaimsOn(a); len(claims) == 0 {
		out.Known = p.SharedAccounts()
	}
	if err != nil {
		return out, fmt.Errorf("find out what the account has: %w", err)
	}
	if len(claims) == 0 {
		return out, nil
	}
	list, err := e.ledger.Balances(ctx, claims, now)
	if err != nil {
		return out, fmt.Errorf("read account: %w", err)
	}
	for _, b := range list {
		out.Balances = append(out.Balances, Balance{
			b.Names, b.Limit, b.Carried, b.Adjusted, b.Spent, b.Reserved, b.Left, b.Overdraft, b.Start, b.Renews,
		})
	}
	return out, nil
}

// personalClaims are the claims on a person's own account. noUser is true when Entra knows no such
// user: who was deleted is in no group.
func (e *Evaluator) personalClaims(
	ctx context.Context, p *policy.Policy, a quota.Account, now time.Time,
) (claims []quota.Claim, noUser bool, err error) {
	req := policy.Request{Point: policy.Release, User: policy.User{ID: a.Name}, Now: now}
	m, err := e.groups.of(ctx, a.Name)
	if noUser = graph.IsNotFound(err); err == nil {
		req.User.Groups = m.groups
	} else if !noUser {
		req.Missing = []policy.Dependency{policy.Directory}
	}
	budget := p.Budget(req)
	return slices.DeleteFunc(budget.Claims, func(c quota.Claim) bool { return c.Account != a }), noUser, budget.Err()
}

// NameQueue adds the name of a job's queue to names, by the printer in the job's name. A queue
// that is not configured any more is not added.
func (e *Evaluator) NameQueue(names *map[string]string, job string) {
	ref := graph.RefOf(job)
	q, ok := e.queues.At(ref.Printer)
	if !ok {
		return
	}
	if *names == nil {
		*names = map[string]string{}
	}
	(*names)[ref.Printer] = q.Name
}

// QueueOf is the current name of a job's queue, which may have been renamed since the job
// arrived.
func (e *Evaluator) QueueOf(rec *job.Record) string { return e.queues.NameOf(rec) }

// Policy is the policy in force.
func (e *Evaluator) Policy() *policy.Policy { return e.policy() }
