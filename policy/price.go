package policy

import (
	"fmt"
	"strings"

	"pullprint/policy/quota"
)

// decimal is a number of the file, as 0.2: exact, and at least zero.
type decimal struct {
	quota.Amount
	given bool
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *decimal) UnmarshalText(text []byte) error {
	d.given = true // also when it can't be read: that is told already
	a, err := quota.ParseAmount(strings.ReplaceAll(string(text), "_", ""))
	if err != nil || a < 0 {
		return fmt.Errorf("expected a number of at least 0 with at most 6 digits after the point, as 0.25")
	}
	d.Amount = a
	return nil
}

// pricesFile says what printing costs. Without it, a page costs one unit.
type pricesFile struct {
	Page           decimal `yaml:"page"`
	Color          decimal `yaml:"color"`
	DuplexDiscount decimal `yaml:"duplex_discount"`
	Currency       string  `yaml:"currency"`
}

// prices are what a printed side costs.
type prices struct {
	page, color quota.Amount
	// discount is the part, of one unit, that a side costs less when it shares
	// its sheet with another.
	discount quota.Amount
	// currency is the word for a unit; empty when it is a page.
	currency string
}

var defaultPrices = prices{page: quota.Unit, color: quota.Unit}

func (l *loader) prices(f pricesFile) {
	p := &l.policy.prices
	if f.Page.given {
		p.page, p.color = f.Page.Amount, f.Page.Amount
	}
	if f.Color.given {
		p.color = f.Color.Amount
	}
	if f.DuplexDiscount.Amount > quota.Unit {
		l.doc.Add("prices.duplex_discount", "write a part of the price, as 0.2 for a fifth less", "a discount of more than 1")
	}
	p.discount, p.currency = f.DuplexDiscount.Amount, f.Currency
	if len(f.Currency) > 8 || strings.ContainsAny(f.Currency, "{}\n\t ") {
		l.doc.Add("prices.currency", "write it as EUR", "%q is not a valid currency", f.Currency)
	}
}

// of is what a job costs.
func (p *prices) of(j *Job, paper Paper) (quota.Amount, error) {
	per := p.page
	if j.Color {
		per = p.color
	}
	// per is bounded by the file, discount by one unit: the product fits when
	// whole and part are taken one by one.
	whole, part := int64(per/quota.Unit), int64(per%quota.Unit)
	off, err := p.discount.Times(whole)
	if err != nil {
		return 0, err
	}
	paired := per - off - quota.Amount(part*int64(p.discount)/int64(quota.Unit))
	single, err := per.Times(paper.Sides - paper.Paired)
	if err != nil {
		return 0, err
	}
	double, err := paired.Times(paper.Paired)
	if err != nil {
		return 0, err
	}
	return single.Add(double)
}

// Price is what a job of known length puts on paper, and what that costs, before any
// rule sets something.
func (p *Policy) Price(j *Job) (Paper, quota.Amount, error) {
	paper, err := j.Paper()
	if err != nil {
		return Paper{}, 0, err
	}
	cost, err := p.prices.of(j, paper)
	return paper, cost, err
}

// Tell writes an amount for people: 6 pages, or 1.20 EUR.
func (p *Policy) Tell(a quota.Amount) string { return p.prices.tell(a) }

// tell writes an amount for people: 6 pages, or 1.20 EUR.
func (p *prices) tell(a quota.Amount) string {
	switch {
	case p.currency != "":
		return money(a) + " " + p.currency
	case a == quota.Unit:
		return "1 page"
	}
	return a.String() + " pages"
}

// money has two digits after the point, or more when there are more.
func money(a quota.Amount) string {
	s := a.String()
	whole, part, _ := strings.Cut(s, ".")
	for len(part) < 2 {
		part += "0"
	}
	return whole + "." + part
}
