package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pullprint/policy/quota"
	"pullprint/policy/strictyaml"
)

// allowanceFile is one allowance as it is written.
type allowanceFile struct {
	Name      string  `yaml:"name"`
	When      string  `yaml:"when"`
	Account   string  `yaml:"account"`
	Pages     decimal `yaml:"pages"`
	Money     decimal `yaml:"money"`
	Every     string  `yaml:"every"`
	Anchor    string  `yaml:"anchor"`
	Zone      string  `yaml:"zone"`
	CarryOver decimal `yaml:"carry_over"`
	Overdraft decimal `yaml:"overdraft"`
}

// allowance is one that is compiled; the account of a person has no name yet.
type allowance struct {
	quota.Allowance
	source string // of when
	when   expression
}

// What becomes of the job of somebody whom no allowance is for.
const (
	unmatchedFree   = "free"
	unmatchedRefuse = "refuse"
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
		if dep := ev.missed(); err != nil && dep != "" {
			if mode := p.FailMode(dep); mode != FailAllow {
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
		m := a.Allowance
		if m.Account.Kind == quota.User {
			m.Account.Name = req.User.ID
		}
		matching = append(matching, m)
		if p.merge == quota.First {
			break
		}
	}
	if len(matching) == 0 {
		b.nobody = p.unmatched == unmatchedRefuse && len(b.notes) == 0
		return b
	}
	if b.Claims, b.err = quota.Claims(p.merge, matching); b.err != nil {
		b.failed = matching[0].Name
	}
	return b
}

// Err is why nothing could be found out about who pays, or nil. No claims with an
// error are no leave to print for nothing.
func (b *Budget) Err() error { return b.err }

// Lacking is what was out of reach when it was asked who pays, or empty.
func (b *Budget) Lacking() Dependency { return b.lacking }

// ClaimsOn are what all allowances of an account that several people share give
// it; none for a person's.
func (p *Policy) ClaimsOn(a quota.Account) ([]quota.Claim, error) {
	var list []quota.Allowance
	for i := range p.allowances {
		if p.allowances[i].Account == a && a.Kind != quota.User {
			list = append(list, p.allowances[i].Allowance)
		}
	}
	merge := p.merge
	if merge == quota.First {
		merge = quota.Strictest // who they are for differs, the account is one
	}
	return quota.Claims(merge, list)
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
	req := &ev.in.req
	prints := d.Verdict == Redirect || d.Verdict == Complete || (d.Verdict == Hold && d.Reason == "" &&
		p.reserveAtArrival && req.Point == Arrival)
	if !prints || len(p.allowances) == 0 {
		return d
	}
	b := &req.Budget
	d.Unknown = append(d.Unknown, b.notes...)
	without := func(dep Dependency) Decision {
		own, note := p.unknown(d.Point, d.Rule, dep)
		d.Unknown = append(d.Unknown, note)
		if own == nil {
			return d // it goes on, and nobody pays
		}
		own.Unknown = d.Unknown
		return *own
	}
	switch {
	case b.err != nil:
		return p.failed(d.Point, b.failed, "allowance", b.err)
	case b.lacking != "":
		return without(b.lacking)
	case b.nobody:
		return p.refused(d, Own(ReasonQuotaExhausted), "No print budget is meant for you.", "Ask your administrator for one.")
	case len(b.Claims) == 0:
		return d
	case req.User.ID == "" &&
		slices.ContainsFunc(b.Claims, func(c quota.Claim) bool { return c.Account.Kind == quota.User }):
		return p.refused(d, Own(ReasonOwnerUnknown), "", "")
	case req.lacks(Document):
		return without(Document)
	case req.lacks(Ledger) || len(b.Balances) != len(b.Claims):
		return without(Ledger)
	}
	paper, err := req.Job.Paper()
	if err == nil {
		d.Cost, err = p.prices.of(&req.Job, paper)
	}
	if err != nil {
		return p.failed(d.Point, d.Rule, "price", err)
	}
	d.Claims = b.Claims
	short := b.short(d.Cost)
	if short == nil {
		return d
	}
	out := p.refused(d, Own(ReasonQuotaExhausted), p.exhausted(d.Cost, short), "")
	out.Cost, out.Claims = d.Cost, d.Claims
	out.Variant, out.Remedy = p.cheaper(req, short)
	return out
}

// Exhausted is the reason and the words for a job whose cost a balance does not
// cover; the caller sets point and verdict.
func (p *Policy) Exhausted(cost quota.Amount, b quota.Balance) Decision {
	d := Own(ReasonQuotaExhausted)
	d.Text, d.PolicyHash = p.exhausted(cost, &b), p.hash
	d.Remedy = fmt.Sprintf("Print fewer pages, or wait until %s.", when(b.Renews))
	return d
}

// short is the first balance that has no room for a cost.
func (b *Budget) short(cost quota.Amount) *quota.Balance {
	for i := range b.Balances {
		if room, err := b.Balances[i].Left.Add(b.Balances[i].Overdraft); err != nil || room < cost {
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

// exhausted says by how much an account does not cover a job.
func (p *Policy) exhausted(cost quota.Amount, b *quota.Balance) string {
	whose := "you have"
	if b.Account.Kind != quota.User {
		whose = b.Account.Name + " has"
	}
	left := p.prices.tell(max(b.Left, 0))
	return fmt.Sprintf("This job costs %s, and %s %s left until %s.", p.prices.tell(cost), whose, left, when(b.Renews))
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
	{Settings{Copies: 1, ColorMode: "blackAndWhite", DuplexMode: "flipOnLongEdge"}, "As one copy in black and white " +
		"and on both sides"},
}

// cheaper finds the least change of a job that its owner can pay for, and says
// what to do.
func (p *Policy) cheaper(req *Request, short *quota.Balance) (Settings, string) {
	for _, v := range variants {
		job := req.Job
		v.set.Apply(&job)
		paper, err := job.Paper()
		if err != nil {
			continue
		}
		cost, err := p.prices.of(&job, paper)
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
		s.PagesPerSheet >= 0 && slices.Contains(append(perSheet, 0), s.PagesPerSheet)
}

// merges are what a file can say of several allowances for one job.
var merges = []string{string(quota.First), string(quota.Sum), string(quota.Max), string(quota.Strictest)}

func (l *loader) allowances(f *file) {
	p := l.policy
	p.merge, p.unmatched = quota.Merge(f.Merge), f.Unmatched
	if f.Merge == "" {
		p.merge = quota.First
	} else if !slices.Contains(merges, f.Merge) {
		l.doc.Add("merge", strictyaml.DidYouMean(f.Merge, merges), "%q is not a valid way to merge allowances", f.Merge)
	}
	switch f.Unmatched {
	case "", unmatchedFree, unmatchedRefuse:
	default:
		l.doc.Add("unmatched", strictyaml.DidYouMean(f.Unmatched, []string{unmatchedFree, unmatchedRefuse}),
			"%q is not free or refuse", f.Unmatched)
	}
	if len(f.Allowances) > maxRules {
		l.doc.Add("allowances", "", "more than %d allowances", maxRules)
		return
	}
	seen := map[string]int{}
	all := 0 // the line of the first that is for everybody
	for i, a := range f.Allowances {
		at := fmt.Sprintf("allowances[%d]", i)
		line := l.doc.At(at)
		if first, twice := seen[a.Name]; twice && a.Name != "" {
			l.doc.Add(at+".name", fmt.Sprintf("the other is in line %d", first), "two allowances are called %q", a.Name)
		}
		seen[a.Name] = line
		if all != 0 && p.merge == quota.First {
			l.doc.Add(at+".when", fmt.Sprintf("put it before the one in line %d, or write merge: sum, max or strictest", all),
				"nobody gets this allowance: one before it is for everybody")
		}
		l.allowance(at, a)
		switch strings.TrimSpace(a.When) {
		case "true":
			all = line
		case "false":
			l.doc.Add(at+".when", "say whom it is for, or leave the allowance out", "nobody gets this allowance")
		}
	}
	if len(f.Allowances) > 0 && all == 0 && f.Unmatched == "" {
		l.doc.Add("allowances", "write unmatched: refuse, or unmatched: free, or end the list with an allowance for when: "+
			"'true'", "nothing is said of people whom no allowance is for")
	}
}

func (l *loader) allowance(at string, f allowanceFile) {
	l.need(at, "name", f.Name, ruleName, "a short name in lower-case letters, digits and dashes")
	a := allowance{
		source:    f.When,
		Allowance: quota.Allowance{Name: f.Name, CarryOver: f.CarryOver.Amount, Overdraft: f.Overdraft.Amount},
	}
	switch {
	case f.Pages.given == f.Money.given:
		l.doc.Add(at, "write pages: 50, or money: 5.00", "the allowance has to have either pages or money")
	case f.Money.given && l.policy.prices.currency == "":
		l.doc.Add(at+".money", "write prices: {currency: EUR, page: 0.05}", "an allowance in money without a currency")
	case f.Pages.given && l.policy.prices.currency != "":
		l.doc.Add(at+".pages", "write money, or leave prices.currency out", "an allowance in pages where pages cost money")
	}
	a.Limit = f.Pages.Amount + f.Money.Amount
	a.Account = l.account(at, f.Account)
	a.Period = l.period(at, f)
	a.when = l.expression(at+".when", f.When)
	if a.when.usesAny(accountVariables) {
		l.doc.Add(at+".when", "an allowance is what an account has", "an allowance can't depend on the account")
	}
	l.policy.allowances = append(l.policy.allowances, a)
}

// account is whose account an allowance is of: user, or group/NAME or
// center/NAME, which all people share whom it is for.
func (l *loader) account(at, text string) quota.Account {
	if text == "" || text == string(quota.User) {
		return quota.Account{Kind: quota.User}
	}
	kind, name, _ := strings.Cut(text, "/")
	a := quota.Account{Kind: quota.Kind(kind), Name: name}
	if a.Kind == quota.Group || a.Kind == quota.Center {
		if parsed, err := quota.ParseAccount(a.Key()); err == nil && parsed == a {
			return a
		}
	}
	l.doc.Add(at+".account", "write user, group/NAME or center/NAME; a name has letters, digits, dashes and underscores",
		"%q is not a valid account", text)
	return quota.Account{Kind: quota.User}
}

func (l *loader) period(at string, f allowanceFile) quota.Period {
	zone := l.policy.zone
	if f.Zone != "" {
		zone = l.zone(at+".zone", f.Zone)
	}
	known := []string{"day", "week", "month", "term"}
	switch {
	case f.Every == "":
		l.doc.Add(at+".every", "one of day, week, month, term", "the allowance does not say how often it renews")
		return quota.Period{}
	case !slices.Contains(known, f.Every):
		l.doc.Add(at+".every", strictyaml.DidYouMean(f.Every, known), "%q is not a valid period", f.Every)
		return quota.Period{}
	}
	p, err := quota.ParsePeriod(quota.Every(f.Every), f.Anchor, zone)
	if err != nil {
		key := ".anchor"
		if f.Anchor == "" {
			key = ".every"
		}
		l.doc.Add(at+key, "", "%s", err)
	}
	return p
}

// zone is a time zone of the file.
func (l *loader) zone(path, name string) *time.Location {
	if err := loadZone(name); err != nil {
		l.doc.Add(path, "write it as Europe/Zurich or +01:00", "%s", err)
		return time.UTC
	}
	loc, _ := zones.Load(name)
	zone, _ := loc.(*time.Location)
	return zone
}
