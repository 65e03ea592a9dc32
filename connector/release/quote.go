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
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// quoteWithin bounds what quotes read of printers: a person waits for the page that shows them.
const quoteWithin = time.Second

// Quote is what a waiting job would cost at a device, and whether it would be released, as
// far as that is known of the job without a call to Graph, and of the device from its printer lately.
type Quote struct {
	job.Record
	// Cost is zero when nobody pays; Price says it in words, and is empty then.
	Cost  quota.Amount
	Price string
	// Verdict is what the policy would say, with the reason when it would refuse.
	Verdict string
	Reason  Reason
	// Variant is the least change with which it would be paid for, VariantCost what it costs then.
	Variant     *decision.Settings
	VariantCost quota.Amount
	// Short is the first balance that does not cover it, when it would be refused for its cost.
	Short *BalanceText
	// Printed is how it would be printed.
	Printed Printed
	// Stays is true when it would not be released after the older jobs of its owner.
	Stays bool
}

// Printed is what would come out of the printer, as far as it is known.
type Printed struct {
	Copies        int
	Color, Duplex bool
	// OneSided is true when it was to be printed on both sides, and the device prints on one only.
	OneSided bool
	// Sheets is zero when it is not known how many pages there are.
	Sheets int64
	// Estimated is true when the pages were not counted but estimated.
	Estimated bool
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
	// Rest and Of are Left and Limit as amounts.
	Rest, Of quota.Amount
}

// Quotes returns quotes of the jobs that wait for owner at a device, and the balances of the
// accounts that pay for them.
func (r *Releaser) Quotes(ctx context.Context, owner, device string) ([]Quote, []BalanceText, error) {
	jobs, err := r.Waiting(ctx, owner, device)
	if err != nil {
		return nil, nil, err
	}
	soon, cancel := context.WithTimeout(ctx, quoteWithin)
	defer cancel()
	p, now, oneSided := r.policy(), time.Now(), len(jobs) > 0 && r.oneSided(soon, device)
	fits := r.fitting(soon, device, len(jobs))
	quotes := make([]Quote, len(jobs))
	var all []BalanceText
	seen := map[string][]quota.Balance{}
	taken := spending{}
	for i := range jobs {
		req := r.evaluator.Question(ctx, p, &jobs[i], r.at(device), now)
		req.Job.OneSided = oneSided
		d := fits(&jobs[i], p.Decide(req))
		if jobs[i].Owner != graph.Canonical(owner) {
			d = policy.ForAnother(d)
		}
		quotes[i] = quoted(p, Quote{Record: jobs[i]}, d)
		if quotes[i].Variant != nil {
			quotes[i].VariantCost = choice(p, req, &jobs[i], d.Variant).Cost
		}
		quotes[i].Printed, quotes[i].Short = printed(&req.Job, &jobs[i]), short(p, jobs[i].Owner, req.Budget.Balances, d)
		if jobs[i].Owner == graph.Canonical(owner) {
			quotes[i].Stays = d.Reason == reasons.DeviceUnsuitable || !taken.fits(p, req, &jobs[i])
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

// fitting is what a release at a device would make of decisions to release jobs, by what its printer has told
// lately that it can do: those that it can't print stay. Without an answer in time all fit, as a release reads
// it once more.
func (r *Releaser) fitting(ctx context.Context, device string, jobs int) func(*job.Record, policy.Decision) policy.Decision {
	dev, known := r.devices[device]
	at := &destination{r: r, dev: dev}
	if known && jobs > 0 {
		at.can = r.stateLately(ctx, dev).can
	}
	return func(rec *job.Record, d policy.Decision) policy.Decision {
		if d.Verdict != policy.Redirect {
			return d
		}
		sent, set := rec.Input(), d.Set
		if rec.Set != nil {
			set = set.Over(policy.Settings(*rec.Set))
		}
		j := graph.Configuration{ColorMode: sent.ColorMode, MediaSize: sent.MediaSize, Finishings: sent.Finishings}
		return r.suitable(ctx, rec, printer.Set(j, set), at, d)
	}
}

// printed is how a job would be printed whose record is rec.
func printed(j *policy.Job, rec *job.Record) Printed {
	out := Printed{Copies: max(j.Copies, 1), Color: j.Color, Duplex: j.Duplex && !j.OneSided, OneSided: j.Duplex && j.OneSided}
	if rec.Pages == nil || rec.Pages.Count == 0 {
		return out
	}
	if paper, err := j.Paper(); err == nil {
		out.Sheets, out.Estimated = paper.Sheets, rec.Pages.Estimated
	}
	return out
}

// short is the first balance of the owner that does not cover a decision's cost.
func short(p *policy.Policy, owner string, balances []quota.Balance, d policy.Decision) *BalanceText {
	if d.Reason != reasons.QuotaExhausted {
		return nil
	}
	for i := range balances {
		if !balances[i].Covers(d.Cost) {
			t := balanceText(p, owner, balances[i])
			return &t
		}
	}
	return nil
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
	req.Job.OneSided = r.oneSided(ctx, device)
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
		Rest: b.Left, Of: b.Limit + b.Carried + b.Adjusted,
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
