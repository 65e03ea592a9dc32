package policy

import (
	"time"

	"pullprint/policy/quota"
)

// Refunds says what is given back of what a job cost that was let go on and did
// not end well at its printer. What was never let go on costs nothing.
type Refunds struct {
	// Aborted and Canceled are the parts given back, in thousandths.
	Aborted, Canceled int64
	// PerDay is how much an owner is given back in a day; zero is all.
	PerDay quota.Amount
}

// Refunds are those of the file; everything is given back when it says nothing.
func (p *Policy) Refunds() Refunds { return *p.def.Refunds }

// ReservesAtArrival reports whether a job of a pull queue is paid for when it
// comes, and not only when it is released.
func (p *Policy) ReservesAtArrival() bool { return p.def.ReserveAtArrival }

// Counts reports whether documents are looked into to count their pages.
func (p *Policy) Counts() bool { return !p.def.MetadataOnly }

// Estimate is how many pages documents of a size in bytes have by the file's
// bytes_per_page; ok is false when it has none.
func (p *Policy) Estimate(size int64) (pages int, ok bool) {
	if p.def.BytesPerPage == 0 || size <= 0 {
		return 0, false
	}
	return int(min((size+p.def.BytesPerPage-1)/p.def.BytesPerPage, maxPages)), true
}

// Needs is what a decision needs besides the job.
type Needs struct {
	// Groups and Language are of the owner, from the directory.
	Groups, Language bool
	// Pages is the length of the documents; Counts says whether to look into them.
	Pages bool
	// Balances are those of the accounts that pay.
	Balances bool
}

// And is what either needs.
func (n Needs) And(o Needs) Needs {
	return Needs{n.Groups || o.Groups, n.Language || o.Language, n.Pages || o.Pages, n.Balances || o.Balances}
}

// Needs says what decisions about jobs of a queue of a mode need, at a point.
func (p *Policy) Needs(at Point, mode string) Needs {
	var uses variableSet
	for i := range p.rules {
		if p.rules[i].At == at {
			uses |= p.rules[i].uses()
		}
	}
	pays := len(p.allowances) > 0 && (at == Release || mode == modeDirect || p.def.ReserveAtArrival)
	if pays || uses.needs(Ledger) {
		for i := range p.allowances {
			uses |= p.allowances[i].when.uses
		}
	}
	return Needs{
		Groups: uses.needs(Directory), Language: p.languages,
		Pages: pays || uses.needs(Document), Balances: len(p.allowances) > 0 && (pays || uses.needs(Ledger)),
	}
}

// uses are the variables that a rule looks at.
func (r *rule) uses() variableSet {
	uses := r.when.uses
	for _, t := range r.text.texts {
		uses |= t.uses()
	}
	for _, t := range r.remedy.texts {
		uses |= t.uses()
	}
	return uses
}

// Zone is the time zone in which the policy counts hours and days.
func (p *Policy) Zone() *time.Location { return p.def.Zone }
