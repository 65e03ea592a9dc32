package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pullprint/policy/quota"
	"pullprint/policy/reasons"
)

// Budget is who pays for a job, by the allowances: see Policy.Budget.
type Budget struct {
	// Claims are the accounts that pay, each of which must have room; none when
	// nobody has to.
	Claims []quota.Claim
	// Balances are those of the claims, in their order, without what this very
	// job has reserved already; the caller fills them in.
	Balances []quota.Balance

	nobody  bool       // no allowance is for the owner, and that is refused
	lacking Dependency // what was out of reach
	notes   []Unknown
	failed  string // the allowance whose expression failed
	err     error
}

// HasAllowances reports whether anybody's printing is limited.
func (p *Policy) HasAllowances() bool { return len(p.allowances) > 0 }

// Budget finds the allowances that are for a request. Its result goes into the
// request for Decide, with the balances of its claims. The job is seen as it was
// sent, before rules rewrite it.
func (p *Policy) Budget(req Request) Budget {
	if len(p.allowances) == 0 {
		return Budget{}
	}
	ev := p.evaluate(req)
	defer ev.close()
	var b Budget
	var matching []quota.Allowance
	for i := range p.allowances {
		a := &p.allowances[i]
		yes, err := ev.isTrue(&a.when)
		if dep := ev.missing(); err != nil && dep != "" {
			if mode := p.failMode(dep); mode != FailAllow {
				return Budget{lacking: dep, failed: a.Name}
			}
			b.notes = append(b.notes, Unknown{dep, FailAllow})
			continue
		}
		if err != nil {
			return Budget{failed: a.Name, err: err}
		}
		if !yes {
			continue
		}
		m := a.Allowance.Allowance
		if m.Account.Kind == quota.User {
			m.Account.Name = req.User.ID
		}
		matching = append(matching, m)
		if p.def.Merge == quota.First {
			break
		}
	}
	if len(matching) == 0 {
		b.nobody = p.def.RefuseUnmatched && len(b.notes) == 0
		return b
	}
	if b.Claims, b.err = quota.Claims(p.def.Merge, matching); b.err != nil {
		b.failed = matching[0].Name
	}
	return b
}

// Err is why nothing could be found out about who pays, or nil. No claims with an
// error are no leave to print for nothing.
func (b *Budget) Err() error {
	if b.lacking != "" {
		return fmt.Errorf("the %s can't be asked now", b.lacking)
	}
	return b.err
}

// ClaimsOn are what all allowances of an account that several people share give
// it; none for a person's.
func (p *Policy) ClaimsOn(a quota.Account) ([]quota.Claim, error) {
	var list []quota.Allowance
	for i := range p.allowances {
		if p.allowances[i].Account == a && a.Kind != quota.User {
			list = append(list, p.allowances[i].Allowance.Allowance)
		}
	}
	merge := p.def.Merge
	if merge == quota.First {
		merge = quota.Strictest // who they are for differs, the account is one
	}
	return quota.Claims(merge, list)
}

// SharedAccounts are the keys of the accounts of groups and centers that allowances are for.
func (p *Policy) SharedAccounts() []string {
	var keys []string
	for i := range p.allowances {
		if a := p.allowances[i].Account; a.Kind == quota.Group || a.Kind == quota.Center {
			keys = append(keys, a.Key())
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// tightest is the balance with the least left; nil when nobody pays.
func (b *Budget) tightest() *quota.Balance {
	var t *quota.Balance
	for i := range b.Balances {
		if t == nil || b.Balances[i].Left < t.Left {
			t = &b.Balances[i]
		}
	}
	return t
}

// charge looks whether those who pay for a job can, once the rules have let it
// go on, and says so in the decision.
func (p *Policy) charge(ev *evaluation, d Decision) Decision {
	if len(p.allowances) == 0 || !p.isPaid(d) {
		return d
	}
	req := &ev.in.req
	b := &req.Budget
	d.Unknown = append(d.Unknown, b.notes...)
	var lacks Dependency
	switch {
	case b.err != nil:
		return p.failed(d.Point, b.failed, "allowance", b.err)
	case b.lacking != "":
		lacks = b.lacking
	case b.nobody:
		return p.refused(d, Own(reasons.QuotaExhausted), noBudget, "Ask your administrator for one.")
	case len(b.Claims) == 0:
		return d
	case req.User.ID == "" && slices.ContainsFunc(b.Claims, func(c quota.Claim) bool { return c.Account.Kind == quota.User }):
		return p.refused(d, Own(reasons.OwnerUnknown), "", "")
	case req.lacks(Document):
		lacks = Document
	case req.lacks(Ledger), len(b.Balances) != len(b.Claims):
		lacks = Ledger
	default:
		return p.paid(req, d)
	}
	own, note := p.unknown(d.Point, d.Rule, lacks)
	d.Unknown = append(d.Unknown, note)
	if own == nil {
		return d // it goes on, and nobody pays
	}
	own.Unknown = d.Unknown
	return *own
}

// isPaid reports whether what was decided costs something: paper, or paper later that is reserved now.
func (p *Policy) isPaid(d Decision) bool {
	return d.Verdict == Redirect || d.Verdict == Complete ||
		d.Verdict == Hold && d.Reason == "" && p.def.ReserveAtArrival && d.Point == Arrival
}

// paid is a decision with what the job costs, or against it when a balance does not cover that.
func (p *Policy) paid(req *Request, d Decision) Decision {
	_, cost, err := p.Price(&req.Job)
	if err != nil {
		return p.failed(d.Point, d.Rule, "price", err)
	}
	d.Cost, d.Claims = cost, req.Budget.Claims
	short := req.Budget.short(cost)
	if short == nil {
		return d
	}
	out := p.refused(d, Own(reasons.QuotaExhausted), p.exhausted(cost, short), "")
	out.Cost, out.Claims = d.Cost, d.Claims
	out.Variant, out.Remedy = p.cheaper(req, short)
	return out
}

// Exhausted is the reason and the words for a job whose cost a balance does not
// cover; the caller sets point and verdict.
func (p *Policy) Exhausted(cost quota.Amount, b quota.Balance) Decision {
	d := Own(reasons.QuotaExhausted)
	d.Text, d.PolicyHash = p.exhausted(cost, &b), p.hash
	d.Remedy = fmt.Sprintf("Print fewer pages, or wait until %s.", when(b.Renews))
	return d
}

// How a refusal for the cost of a job speaks to the owner, and of the owner to somebody else.
const (
	noBudget    = "No print budget is meant for you."
	jobCosts    = "This job costs "
	ownerHas    = ", and you have "
	itsOwnerHas = ", and its owner has "
)

// ForAnother is a decision in words for somebody who is not the owner of the job, when the budget of
// the owner does not suffice. A stored decision has no balances: only the words are changed.
func ForAnother(d Decision) Decision {
	if d.Reason != reasons.QuotaExhausted {
		return d
	}
	if d.Text == noBudget {
		d.Text = "No print budget is meant for the owner of this job."
		d.Remedy = "The owner can ask the administrator for one."
	} else if cost, left, ok := strings.Cut(d.Text, ownerHas); ok && strings.HasPrefix(cost, jobCosts) {
		d.Text = cost + itsOwnerHas + left
	}
	return d
}

// short is the first balance that has no room for a cost.
func (b *Budget) short(cost quota.Amount) *quota.Balance {
	for i := range b.Balances {
		if !b.Balances[i].Covers(cost) {
			return &b.Balances[i]
		}
	}
	return nil
}

// refused is one of the program's own decisions against a job that rules let go
// on: it stays where it is, or ends if it would have printed at once.
func (p *Policy) refused(d, own Decision, text, remedy string) Decision {
	own.Point, own.PolicyHash, own.Unknown = d.Point, p.hash, d.Unknown
	own.Verdict = Abort
	if d.Point == Release {
		own.Verdict = Keep
	}
	if text != "" {
		own.Text = text
	}
	if remedy != "" {
		own.Remedy = remedy
	}
	return own
}

// exhausted says to the owner by how much an account does not cover a job.
func (p *Policy) exhausted(cost quota.Amount, b *quota.Balance) string {
	has := ownerHas
	if b.Account.Kind != quota.User {
		has = ", and " + b.Account.Name + " has "
	}
	left := p.prices.tell(max(b.Left, 0))
	return jobCosts + p.prices.tell(cost) + has + left + " left until " + when(b.Renews) + "."
}

// when is a time as people of its zone write it.
func when(t time.Time) string { return t.Format("Monday 2 January 2006 15:04 MST") }

// variants are what an owner can change of a job to make it cheaper, from the
// least change to the greatest.
var variants = []struct {
	set   Settings
	words string
}{
	{Settings{DuplexMode: "flipOnLongEdge"}, "On both sides"},
	{Settings{ColorMode: "blackAndWhite"}, "In black and white"},
	{Settings{ColorMode: "blackAndWhite", DuplexMode: "flipOnLongEdge"}, "In black and white and on both sides"},
	{Settings{Copies: 1}, "As one copy"},
	{Settings{Copies: 1, DuplexMode: "flipOnLongEdge"}, "As one copy on both sides"},
	{Settings{Copies: 1, ColorMode: "blackAndWhite"}, "As one copy in black and white"},
	{Settings{Copies: 1, ColorMode: "blackAndWhite", DuplexMode: "flipOnLongEdge"}, "As one copy in black and white " +
		"and on both sides"},
}

// cheaper finds the least change of a job that its owner can pay for, and says
// what to do.
func (p *Policy) cheaper(req *Request, short *quota.Balance) (Settings, string) {
	for _, v := range variants {
		job := req.Job
		v.set.Apply(&job)
		_, cost, err := p.Price(&job)
		if err != nil || req.Budget.short(cost) != nil {
			continue
		}
		return v.set, fmt.Sprintf("%s it costs %s of the %s left.", v.words, p.prices.tell(cost),
			p.prices.tell(max(short.Left, 0)))
	}
	return Settings{}, fmt.Sprintf("Print fewer pages, or wait until %s.", when(short.Renews))
}

// Variant reports whether settings are such as an owner may choose for a job at
// release: nothing that costs more than what was sent.
func (s Settings) Variant(j Job) bool {
	if s.ColorMode != "" && s.ColorMode != "blackAndWhite" && s.ColorMode != "grayscale" {
		return false
	}
	if s.DuplexMode != "" && !Duplex(s.DuplexMode) {
		return false
	}
	return s.Copies >= 0 && s.Copies <= max(j.Copies, 1) && s.MediaSize == "" && s.Quality == "" &&
		s.PagesPerSheet >= 0 && (s.PagesPerSheet == 0 || PerSheet(s.PagesPerSheet))
}
