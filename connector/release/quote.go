package release

import (
	"context"
	"slices"
	"time"

	"pullprint/connector/decision"
	"pullprint/connector/evaluate"
	"pullprint/connector/job"
	"pullprint/connector/printer"
	"pullprint/policy"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// Quote is what a waiting job would cost at a device, and whether it would be released, as
// far as that is known without a call to Graph.
type Quote struct {
	job.Record
	// Cost is zero when nobody pays; Price says it in words, and is empty then.
	Cost  quota.Amount
	Price string
	// Verdict is what the policy would say, with the reason when it would refuse.
	Verdict string
	Reason  Reason
	// Variant is the least change with which it would be paid for.
	Variant *decision.Settings
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
		req := r.evaluator.Question(ctx, p, &jobs[i], r.at(device), now)
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
func (s spending) fits(p *policy.Policy, req policy.Request, rec *job.Record) bool {
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
func countsStill(rec *job.Record, balances []quota.Balance, claims []quota.Claim) bool {
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
func (r *Releaser) Quote(ctx context.Context, rec *job.Record, device string) (Quote, []BalanceText) {
	p := r.policy()
	q := Quote{Record: *rec}
	if of, _ := r.queues.At(rec.Printer); rec.State != job.Held || !p.HasAllowances() || of.Mode != printer.ModePull {
		return q, nil
	}
	req := r.evaluator.Question(ctx, p, rec, r.at(device), time.Now())
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
	q.Verdict, q.Variant = string(d.Verdict), evaluate.SettingsOf(d.Variant)
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
func (r *Releaser) at(device string) printer.Device {
	d := r.devices[device]
	d.ID = device
	return d
}
