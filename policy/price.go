package policy

import (
	"strings"

	"pullprint/policy/quota"
)

// prices are what a printed side costs.
type prices struct {
	page, color quota.Amount
	// discount is the part, of one unit, that a side costs less when it shares
	// its sheet with another.
	discount quota.Amount
	// currency is the word for a unit; empty when it is a page.
	currency string
}

func pricesOf(def *Definition) prices {
	p := prices{page: quota.Unit, discount: def.DuplexDiscount, currency: def.Currency}
	if def.PagePrice != nil {
		p.page = *def.PagePrice
	}
	if p.color = p.page; def.ColorPrice != nil {
		p.color = *def.ColorPrice
	}
	return p
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

// Currency is that of amounts; empty where they are pages.
func (p *Policy) Currency() string { return p.prices.currency }

// Language is that of texts for people whose own they are not in; empty when they are in one that is
// not named.
func (p *Policy) Language() string { return p.def.Language }

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
