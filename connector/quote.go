package connector

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pullprint/connector/held"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// Quote is what a waiting job would cost at a device, and whether it would be released, as
// far as that is known without a call to Graph.
type Quote struct {
	held.Record
	// Cost is zero when nobody pays; Price says it in words, and is empty then.
	Cost  quota.Amount
	Price string
	// Verdict is what the policy would say, with the reason when it would refuse.
	Verdict string
	Reason  Reason
	// Variant is the least change with which it would be paid for.
	Variant *held.Settings
	// Stays is true when it would not be released after the older jobs of its owner.
	Stays bool
}

// BalanceText is the balance of an account as text.
type BalanceText struct {
	// Owner is whose jobs it pays for.
	Owner string
	// Account is empty for the owner's own.
	Account string
	Left    string
	Limit   string
	Renews  time.Time
}

// Quotes returns quotes of the jobs that wait for owner at a device, and the balances of the
// accounts that pay for them.
func (r *Releaser) Quotes(ctx context.Context, owner, device string) ([]Quote, []BalanceText, error) {
	jobs, err := r.Waiting(ctx, owner, device)
	if err != nil {
		return nil, nil, err
	}
	p, now := r.policy(), time.Now()
	quotes := make([]Quote, len(jobs))
	var all []BalanceText
	seen := map[string][]quota.Balance{}
	taken := spending{}
	for i := range jobs {
		quotes[i] = Quote{Record: jobs[i]}
		if !p.HasAllowances() {
			continue
		}
		req := r.evaluator.question(ctx, p, &jobs[i], r.at(device), now)
		d := p.Decide(req)
		if jobs[i].Owner != graph.Canonical(owner) {
			d = p.ForAnother(&req.Budget, d)
		}
		quotes[i] = quoted(p, quotes[i], d)
		if jobs[i].Owner == graph.Canonical(owner) {
			quotes[i].Stays = !taken.fits(p, req, &jobs[i])
		}
		for _, b := range req.Budget.Balances {
			of := jobs[i].Owner
			same := func(o quota.Balance) bool { return o.Account == b.Account && slices.Equal(o.Names, b.Names) }
			if !slices.ContainsFunc(seen[of], same) {
				seen[of] = append(seen[of], b)
				all = append(all, balanceText(p, of, b))
			}
		}
	}
	return quotes, all, nil
}

// spending is what the jobs that would be released before another take from accounts.
type spending map[quota.Account]quota.Amount

// fits reports whether a job would be released after those, and adds what it takes: its
// cost, less what was reserved for it at arrival in the periods of now.
func (s spending) fits(p *policy.Policy, req policy.Request, rec *held.Record) bool {
	req.Budget.Balances = slices.Clone(req.Budget.Balances)
	for i := range req.Budget.Balances {
		b := &req.Budget.Balances[i]
		b.Reserved += s[b.Account]
		b.Left -= s[b.Account]
	}
	d := p.Decide(req)
	if d.Verdict != policy.Redirect {
		return false
	}
	cost := d.Cost
	if c := rec.Charge; c != nil && c.AtArrival && countsStill(rec, req.Budget.Balances, d.Claims) {
		cost -= c.Amount
	}
	paid := map[quota.Account]bool{} // one may pay by several allowances
	for i := range d.Claims {
		if a := d.Claims[i].Account; !paid[a] {
			paid[a] = true
			s[a] += cost
		}
	}
	return true
}

// countsStill reports whether what was reserved for a job at arrival counts in the periods
// of the claims.
func countsStill(rec *held.Record, balances []quota.Balance, claims []quota.Claim) bool {
	for i := range claims {
		before := slices.ContainsFunc(rec.Charge.Claims, func(c quota.Claim) bool {
			return c.Account == claims[i].Account && c.Period.String() == claims[i].Period.String()
		})
		if !before || (i < len(balances) && balances[i].Start.After(rec.Seen)) {
			return false
		}
	}
	return true
}

// Quote is the quote of one held job at a device, or at any device if device is empty.
func (r *Releaser) Quote(ctx context.Context, rec *held.Record, device string) (Quote, []BalanceText) {
	p := r.policy()
	q := Quote{Record: *rec}
	if of, _ := r.queues.at(rec.Printer); rec.State != held.Held || !p.HasAllowances() || of.Mode != ModePull {
		return q, nil
	}
	req := r.evaluator.question(ctx, p, rec, r.at(device), time.Now())
	list := make([]BalanceText, len(req.Budget.Balances))
	for i, b := range req.Budget.Balances {
		list[i] = balanceText(p, rec.Owner, b)
	}
	return quoted(p, q, p.Decide(req)), list
}

// quoted is q with the decision d.
func quoted(p *policy.Policy, q Quote, d policy.Decision) Quote {
	if q.Cost = d.Cost; len(d.Claims) > 0 {
		q.Price = p.Tell(d.Cost)
	}
	q.Verdict, q.Variant = string(d.Verdict), settings(d.Variant)
	q.Reason = Reason{d.Reason, d.Text, d.Remedy, d.IPP}
	return q
}

// balanceText is a balance in words, that pays for the jobs of owner.
func balanceText(p *policy.Policy, owner string, b quota.Balance) BalanceText {
	t := BalanceText{
		Owner: owner, Left: p.Tell(b.Left), Limit: p.Tell(b.Limit + b.Carried + b.Adjusted), Renews: b.Renews,
	}
	if b.Account.Kind != quota.User {
		t.Account = b.Account.Name
	}
	return t
}

// at is a configured device; an unknown one has only its id.
func (r *Releaser) at(device string) Device {
	d := r.devices[device]
	d.ID = device
	return d
}

// question is the request to the policy about a held job, built from its record.
func (e *evaluator) question(
	ctx context.Context, p *policy.Policy, rec *held.Record, dev Device, now time.Time,
) policy.Request {
	d := rec.Audit()
	d.Queue = e.queues.nameOf(rec)
	if rec.Sent != nil {
		d.Input = *rec.Sent
	}
	d.At, d.Point, d.Device = now, string(policy.Release), dev.ID
	d.Input.Mode = ModePull
	if rec.Pages != nil {
		d.Input.Pages = rec.Pages
	}
	d.Input.Missing = nil
	if p.Needs(policy.Release, ModePull).Groups {
		if m, err := e.groups.of(ctx, rec.Owner); err == nil {
			d.Input.Groups = m.groups
		} else {
			d.Input.Missing = []string{string(policy.Directory)}
		}
	}
	eval := evaluation{Request: RequestOf(p, &d), paid: rec.Charge}
	eval.job.Ref.Printer, eval.job.Ref.Job = rec.Printer, rec.Job
	if rec.Set != nil {
		policy.Settings(*rec.Set).Apply(&eval.Job)
	}
	if d.Input.CopiesUnsaid && (rec.Set == nil || rec.Set.Copies == 0) && dev.PrinterID != "" {
		eval.unsaid, eval.printers = true, []string{dev.PrinterID}
		e.readCopies(ctx, p.Needs(policy.Release, ModePull), &eval)
	}
	return e.withBalances(ctx, p, eval)
}

// AccountStatus is the state of an account.
type AccountStatus struct {
	// Account is its key: an Entra object id, group.NAME or center.NAME.
	Account  string    `json:"account"`
	Balances []Balance `json:"balances"`
	// Stored is what is stored of it, whatever the policy.
	Stored quota.View `json:"stored"`
	// Queues are the names of the queues whose jobs are told of, by the printer that a
	// job is named with.
	Queues map[string]string `json:"queues,omitempty"`
	// Known are the shared accounts that allowances are for, when none is for this one.
	Known []string `json:"known,omitempty"`
	// NoUser says that Entra knows no user with this object id: it is mistyped, or the account
	// was deleted.
	NoUser bool `json:"no_user,omitempty"`
}

// NameQueue adds the name of a job's queue to names, by the printer in the job's name. A queue
// that is not configured any more is not added.
func (w *Worker) NameQueue(names *map[string]string, job string) {
	ref := held.RefOf(job)
	q, ok := w.queues.at(ref.Printer)
	if !ok {
		return
	}
	if *names == nil {
		*names = map[string]string{}
	}
	(*names)[ref.Printer] = q.Name
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
func (w *Worker) AccountStatus(ctx context.Context, a quota.Account) (AccountStatus, error) {
	p, now := w.Policy(), time.Now()
	out := AccountStatus{Account: a.Key(), Balances: []Balance{}}
	var err error
	if out.Stored, err = w.Ledger.View(ctx, a); err != nil {
		return out, fmt.Errorf("read account: %w", err)
	}
	for i := range out.Stored.Reservations {
		w.NameQueue(&out.Queues, out.Stored.Reservations[i].Job)
	}
	claims, err := p.ClaimsOn(a)
	if a.Kind == quota.User {
		req := policy.Request{Point: policy.Release, User: policy.User{ID: a.Name}, Now: now}
		switch m, err := w.evaluator.groups.of(ctx, a.Name); {
		case err == nil:
			req.User.Groups = m.groups
		case graph.IsNotFound(err):
			out.NoUser = true // who was deleted is in no group
		default:
			req.Missing = []policy.Dependency{policy.Directory}
		}
		budget := p.Budget(req)
		claims, err = slices.DeleteFunc(budget.Claims, func(c quota.Claim) bool { return c.Account != a }), budget.Err()
		if err == nil && budget.Lacking() != "" {
			err = fmt.Errorf("the %s can't be asked now", budget.Lacking())
		}
	}
	if err != nil {
		return out, fmt.Errorf("find out what the account has: %w", err)
	}
	if len(claims) == 0 {
		if a.Kind != quota.User {
			out.Known = p.SharedAccounts()
		}
		return out, nil
	}
	list, err := w.Ledger.Balances(ctx, claims, now)
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
