package policyfile

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"pullprint/policy"
	"pullprint/policy/quota"
)

// allowanceFile is one allowance as it is written.
type allowanceFile struct {
	Name      string      `yaml:"name"`
	When      string      `yaml:"when"`
	Account   string      `yaml:"account"`
	Pages     decimal     `yaml:"pages"`
	Money     decimal     `yaml:"money"`
	Every     quota.Every `yaml:"every"`
	Anchor    string      `yaml:"anchor"`
	Zone      string      `yaml:"zone"`
	CarryOver decimal     `yaml:"carry_over"`
	Overdraft decimal     `yaml:"overdraft"`
}

// What becomes of the job of somebody whom no allowance is for.
const (
	unmatchedFree   = "free"
	unmatchedRefuse = "refuse"
)

func (l *loader) allowances(f *file) {
	l.def.Merge, l.def.RefuseUnmatched = cmp.Or(f.Merge, quota.First), f.Unmatched == unmatchedRefuse
	oneOf(l, "merge", f.Merge, "way to merge allowances", quota.First, quota.Sum, quota.Max, quota.Strictest)
	oneOf(l, "unmatched", f.Unmatched, "value of unmatched", unmatchedFree, unmatchedRefuse)
	if len(f.Allowances) > maxRules {
		l.doc.Add("allowances", "", "more than %d allowances", maxRules)
		return
	}
	seen := map[string]int{}
	all := 0 // the line of the first that is for everybody
	for i, a := range f.Allowances {
		at := fmt.Sprintf("allowances[%d]", i)
		l.unique(at, "allowances", a.Name, seen)
		l.refuse(all != 0 && l.def.Merge == quota.First, at+".when",
			fmt.Sprintf("put it before the one in line %d, or write merge: sum, max or strictest", all),
			"nobody gets this allowance: one before it is for everybody")
		l.allowance(at, a)
		if strings.TrimSpace(a.When) == "true" {
			all = l.doc.At(at)
		}
		l.refuse(strings.TrimSpace(a.When) == "false", at+".when", "say whom it is for, or leave the allowance out",
			"nobody gets this allowance")
	}
	l.refuse(len(f.Allowances) > 0 && all == 0 && f.Unmatched == "", "allowances",
		"write unmatched: refuse, or unmatched: "+
			"free, or end the list with an allowance for when: 'true'", "nothing is said of people whom no allowance is for")
}

func (l *loader) allowance(at string, f allowanceFile) {
	l.need(at, "name", f.Name, ruleName, "a short name in lower-case letters, digits and dashes")
	a := policy.Allowance{When: f.When, Allowance: quota.Allowance{
		Name: f.Name, Account: l.account(at, f.Account), Limit: f.Pages.Amount + f.Money.Amount, Period: l.period(at, f),
		CarryOver: f.CarryOver.Amount, Overdraft: f.Overdraft.Amount,
	}}
	switch {
	case f.Pages.given == f.Money.given:
		l.doc.Add(at, "write pages: 50, or money: 5.00", "the allowance has to have either pages or money")
	case f.Money.given && l.def.Currency == "":
		l.doc.Add(at+".money", "write prices: {currency: EUR, page: 0.05}", "an allowance in money without a currency")
	case f.Pages.given && l.def.Currency != "":
		l.doc.Add(at+".pages", "write money, or leave prices.currency out", "an allowance in pages where pages cost money")
	}
	l.def.Allowances = append(l.def.Allowances, a)
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
	zone := cmp.Or(l.def.Zone, time.UTC)
	if f.Zone != "" {
		zone = l.zone(at+".zone", f.Zone)
	}
	known := []quota.Every{quota.Day, quota.Week, quota.Month, quota.Term}
	l.refuse(f.Every == "", at+".every", "one of day, week, month, term", "the allowance does not say how often it renews")
	if !oneOf(l, at+".every", f.Every, "period", known...) || f.Every == "" {
		return quota.Period{}
	}
	p, err := quota.ParsePeriod(f.Every, f.Anchor, zone)
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
	zone, err := quota.LoadZone(name)
	if err != nil {
		l.doc.Add(path, "write it as Europe/Zurich or +01:00", "%s", err)
		return time.UTC
	}
	return zone
}
