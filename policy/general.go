package policy

import (
	"slices"
	"time"

	"pullprint/policy/quota"
	"pullprint/policy/strictyaml"
)

// unknownFile says what becomes of a job when something is out of reach.
type unknownFile struct {
	Directory string `yaml:"directory"`
	Quota     string `yaml:"quota"`
	Device    string `yaml:"device"`
	Pages     string `yaml:"pages"`
}

// refundsFile says what is given back of a job that did not end well at its
// printer.
type refundsFile struct {
	Aborted  decimal `yaml:"aborted"`
	Canceled decimal `yaml:"canceled"`
	PerDay   decimal `yaml:"per_day"`
}

// Refunds says what is given back of what a job cost that was let go on and did
// not end well at its printer. What was never let go on costs nothing.
type Refunds struct {
	// Aborted and Canceled are the parts given back, in thousandths.
	Aborted, Canceled int64
	// PerDay is how much an owner is given back in a day; zero is all.
	PerDay quota.Amount
}

var defaultRefunds = Refunds{Aborted: 1000, Canceled: 1000}

// The words of pages and reserve.
const (
	pagesCount    = "count"
	pagesMetadata = "metadata-only"
)

// Refunds are those of the file; everything is given back when it says nothing.
func (p *Policy) Refunds() Refunds { return p.refunds }

// ReservesAtArrival reports whether a job of a pull queue is paid for when it
// comes, and not only when it is released.
func (p *Policy) ReservesAtArrival() bool { return p.reserveAtArrival }

// Counts reports whether documents are looked into to count their pages.
func (p *Policy) Counts() bool { return !p.metadata }

// Estimate is how many pages documents of a size in bytes have by the file's
// bytes_per_page; ok is false when it has none.
func (p *Policy) Estimate(size int64) (pages int, ok bool) {
	if p.pageBytes == 0 || size <= 0 {
		return 0, false
	}
	return int(min((size+p.pageBytes-1)/p.pageBytes, maxPages)), true
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
	return Needs{Groups: n.Groups || o.Groups, Language: n.Language || o.Language, Pages: n.Pages ||
		o.Pages, Balances: n.Balances || o.Balances}
}

// Needs says what decisions about jobs of a queue of a mode need, at a point.
func (p *Policy) Needs(at Point, mode string) Needs {
	var uses variableSet
	for i := range p.rules {
		if p.rules[i].at == at {
			uses |= p.rules[i].uses()
		}
	}
	pays := len(p.allowances) > 0 && (at == Release || mode == modeDirect || p.reserveAtArrival)
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

// general reads what the file says besides rules and allowances.
func (l *loader) general(f *file) {
	p := l.policy
	if f.Zone != "" {
		p.zone = l.zone("zone", f.Zone)
	}
	if p.language = f.Language; f.Language != "" && !language.MatchString(f.Language) {
		l.doc.Add("language", "write it as en, de or de-CH", "%q is not a valid language", f.Language)
	}
	l.oneOf("pages", f.Pages, pagesCount, pagesMetadata)
	p.metadata = f.Pages == pagesMetadata
	if p.pageBytes = f.BytesPerPage; f.BytesPerPage < 0 {
		l.doc.Add("bytes_per_page", "write how many bytes a page has on average, as 50_000", "bytes_per_page is negative")
	}
	p.modes = map[Dependency]FailMode{}
	for _, m := range []struct {
		dep  Dependency
		mode string
	}{{Directory, f.Unknown.Directory}, {
		Ledger, f.Unknown.Quota,
	}, {Device, f.Unknown.Device}, {Document, f.Unknown.Pages}} {
		if m.mode != "" {
			l.oneOf("unknown."+string(m.dep), m.mode, failModes...)
			p.modes[m.dep] = FailMode(m.mode)
		}
	}
	l.oneOf("reserve", f.Reserve, string(Release), string(Arrival))
	p.reserveAtArrival = f.Reserve == string(Arrival)
	l.refunds(f.Refunds)
}

func (l *loader) refunds(f refundsFile) {
	r := &l.policy.refunds
	part := func(key string, d decimal, to *int64) {
		if !d.given {
			return
		}
		if d.Amount > quota.Unit || d.Amount%(quota.Unit/1000) != 0 {
			l.doc.Add("refunds."+key, "write a part of 1, as 0.5 for half, with at most 3 digits",
				"a refund of more than was paid, or too exact")
			return
		}
		*to = int64(d.Amount / (quota.Unit / 1000))
	}
	part("aborted", f.Aborted, &r.Aborted)
	part("canceled", f.Canceled, &r.Canceled)
	r.PerDay = f.PerDay.Amount
}

// oneOf checks a word of the file that may be absent.
func (l *loader) oneOf(path, value string, known ...string) {
	if value != "" && !slices.Contains(known, value) {
		l.doc.Add(path, strictyaml.DidYouMean(value, known), "%q is not possible here", value)
	}
}

// Zone is the time zone in which the policy counts hours and days.
func (p *Policy) Zone() *time.Location { return p.zone }
