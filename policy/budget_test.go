package policy_test

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/policy"
	"pullprint/policy/policyfile"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
)

// amount is one of a test.
func amount(t *testing.T, text string) quota.Amount {
	t.Helper()
	a, err := quota.ParseAmount(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPaper(t *testing.T) {
	for name, c := range map[string]struct {
		job  policy.Job
		want policy.Paper
	}{
		"one page":                   {policy.Job{Pages: 1}, policy.Paper{1, 1, 0}},
		"nothing":                    {policy.Job{Copies: 3}, policy.Paper{}},
		"copies":                     {policy.Job{Pages: 3, Copies: 4}, policy.Paper{12, 12, 0}},
		"both sides":                 {policy.Job{Pages: 3, Copies: 4, Duplex: true}, policy.Paper{12, 8, 8}},
		"two on a side":              {policy.Job{Pages: 3, PagesPerSheet: 2}, policy.Paper{2, 2, 0}},
		"both, on both sides":        {policy.Job{Pages: 9, PagesPerSheet: 4, Duplex: true}, policy.Paper{3, 2, 2}},
		"a range":                    {policy.Job{Pages: 9, Ranges: []policy.PageRange{{2, 4}}}, policy.Paper{3, 3, 0}},
		"beyond the end":             {policy.Job{Pages: 9, Ranges: []policy.PageRange{{8, math.MaxInt64}}}, policy.Paper{2, 2, 0}},
		"outside":                    {policy.Job{Pages: 9, Ranges: []policy.PageRange{{10, 12}, {20, 30}}}, policy.Paper{9, 9, 0}},
		"upside down":                {policy.Job{Pages: 9, Ranges: []policy.PageRange{{4, 2}}}, policy.Paper{9, 9, 0}},
		"upside down beside a right": {policy.Job{Pages: 9, Ranges: []policy.PageRange{{1, 2}, {4, 2}}}, policy.Paper{9, 9, 0}},
		"before the first":           {policy.Job{Pages: 9, Ranges: []policy.PageRange{{-5, 2}}}, policy.Paper{9, 9, 0}},
		"from nothing":               {policy.Job{Pages: 9, Ranges: []policy.PageRange{{0, 2}}}, policy.Paper{9, 9, 0}},
		"twice the same":             {policy.Job{Pages: 9, Ranges: []policy.PageRange{{2, 3}, {1, 2}}}, policy.Paper{3, 3, 0}},
		"one within another":         {policy.Job{Pages: 9, Ranges: []policy.PageRange{{1, 8}, {2, 3}, {8, 20}}}, policy.Paper{9, 9, 0}},
		"many times all": {
			policy.Job{Pages: policy.MaxPages, Ranges: slices.Repeat([]policy.PageRange{{1, policy.MaxPages}}, 20)},
			policy.Paper{policy.MaxPages, policy.MaxPages, 0},
		},
		"1000 on a side":    {policy.Job{Pages: 64, PagesPerSheet: 1000}, policy.Paper{64, 64, 0}},
		"three on a side":   {policy.Job{Pages: 9, PagesPerSheet: 3}, policy.Paper{9, 9, 0}},
		"sixteen on a side": {policy.Job{Pages: 17, PagesPerSheet: 16}, policy.Paper{2, 2, 0}},
		"the ends of what is counted": {
			policy.Job{Pages: policy.MaxPages, Copies: policy.MaxJob, Duplex: true},
			policy.Paper{policy.MaxPages * policy.MaxJob, policy.MaxPages / 2 * policy.MaxJob, policy.MaxPages * policy.MaxJob},
		},
	} {
		if got, err := c.job.Paper(); got != c.want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	for name, j := range map[string]policy.Job{
		"negative pages": {Pages: -1}, "too many pages": {Pages: policy.MaxPages + 1}, "negative copies": {Pages: 1, Copies: -1},
		"too many copies": {Pages: 1, Copies: policy.MaxJob + 1}, "a negative number on a side": {PagesPerSheet: -2},
	} {
		if got, err := j.Paper(); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// What a job leaves to the printer may be in colour.
func TestColor(t *testing.T) {
	for mode, want := range map[string]bool{
		"blackAndWhite": false, "grayscale": false, "color": true, "auto": true, "": true, "unknownFutureValue": true,
	} {
		if got := policy.Color(mode); got != want {
			t.Errorf("%q: %v", mode, got)
		}
	}
}

func TestPrices(t *testing.T) {
	for _, c := range []struct {
		prices string
		job    policy.Job
		cost   string
	}{
		{"", policy.Job{Pages: 7, Copies: 2}, "14"},
		{"prices: {page: 2}", policy.Job{Pages: 7, Color: true}, "14"},
		{"prices: {page: 1, color: 5}", policy.Job{Pages: 7, Color: true}, "35"},
		{"prices: {page: 1, color: 5, duplex_discount: 0.2}", policy.Job{Pages: 7, Duplex: true}, "5.8"},
		{"prices: {page: 1, color: 5, duplex_discount: 0.2}", policy.Job{Pages: 7, Duplex: true, OneSided: true}, "7"},
		{"prices: {page: 1, color: 5, duplex_discount: 0.2}", policy.Job{Pages: 1, Color: true, Duplex: true}, "5"},
		{
			"prices: {page: 0.05, color: 0.333333, duplex_discount: 0.25, currency: EUR}",
			policy.Job{Pages: 2, Color: true, Duplex: true},
			"0.5",
		},
		{"prices: {page: 0}", policy.Job{Pages: 7}, "0"},
	} {
		p := mustLoad(t, c.prices)
		if _, got, err := p.Price(&c.job); got != amount(t, c.cost) || err != nil {
			t.Errorf("%s %+v: %s, %v; want %s", c.prices, c.job, got, err, c.cost)
		}
	}
	p := mustLoad(t, "prices: {page: 1_000_000}")
	huge := policy.Job{Pages: policy.MaxPages, Copies: policy.MaxJob}
	if _, got, err := p.Price(&huge); err == nil {
		t.Errorf("%s, beyond what can be counted", got)
	}
}

const budgets = `
zone: Europe/Zurich
prices: {page: 1, color: 5, duplex_discount: 0.5}
unmatched: refuse
allowances:
  - {name: students, when: '"students" in user.groups', pages: 50, every: week}
  - {name: lab, when: 'job.queue == "Lab"', account: center/lab, pages: 9, every: month}
rules:
  - {name: colour-first, at: release, when: 'job.color && account.left == 2 && account.spent > 45',
     verdict: keep, reason: color.low, remedy: 'You have {{account.left}} pages left.'}
  - {name: mono, at: release, when: 'job.queue == "Mono"', set: {colorMode: blackAndWhite}}
`

// paying is a request whose owner has so much left.
func paying(t *testing.T, p *policy.Policy, left string, change ...func(*policy.Request)) policy.Request {
	r := arriving(append([]func(*policy.Request){release, func(r *policy.Request) { r.Job.Pages = 6 }}, change...)...)
	if r.Budget = p.Budget(r); left == "" {
		return r
	}
	for _, c := range r.Budget.Claims {
		start, end := c.Period.Window(r.Now)
		l := amount(t, left)
		r.Budget.Balances = append(r.Budget.Balances,
			quota.Balance{Account: c.Account, Names: c.Names, Limit: c.Limit, Spent: c.Limit - l, Left: l, Start: start, Renews: end})
	}
	return r
}

func nobodys(r *policy.Request) { r.User.Groups = nil }
func lab(r *policy.Request)     { r.Queue.Name, r.User.Groups = "Lab", nil }
func mono(r *policy.Request)    { r.Queue.Name, r.Job.Color = "Mono", true }

// Who has to pay pays the price of what will be printed, and who can't is told
// by how much, until when, and what would be paid for.
func TestCharge(t *testing.T) {
	p := mustLoad(t, budgets)
	pages := func(n int) func(*policy.Request) { return func(r *policy.Request) { r.Job.Pages = n } }
	for name, c := range map[string]struct {
		req     policy.Request
		verdict policy.Verdict
		reason  string
		cost    string
		told    string
	}{
		"paid": {paying(t, p, "6"), policy.Redirect, "", "6", ""},
		"not paid": {
			paying(t, p, "5"), policy.Keep, reasons.QuotaExhausted, "6",
			"This job costs 6 pages, and you have 5 pages left until Monday 16 March 2026 " +
				"00:00 CET. On both sides it costs 3 pages of the 5 pages left. [quota.exhausted]",
		},
		"in black and white": {
			paying(t, p, "6", color), policy.Keep, reasons.QuotaExhausted, "30", "In black and white it costs 6 pages of the 6 pages left.",
		},
		"in all ways": {
			paying(t, p, "3", color), policy.Keep, reasons.QuotaExhausted, "30",
			"In black and white and on both sides it costs 3 pages of the 3 pages left.",
		},
		"as one copy": {
			paying(t, p, "6", copies(3), func(r *policy.Request) { r.Job.Duplex = true }), policy.Keep, reasons.QuotaExhausted, "9",
			"As one copy it costs 3 pages of the 6 pages left.",
		},
		"in no way": {
			paying(t, p, "1"), policy.Keep, reasons.QuotaExhausted, "6",
			"and you have 1 page left until Monday 16 March 2026 00:00 CET. " +
				"Print fewer pages, or wait until Monday 16 March 2026 00:00 CET.",
		},
		"in debt":                  {paying(t, p, "-4"), policy.Keep, reasons.QuotaExhausted, "6", "you have 0 pages left"},
		"the price of what is set": {paying(t, p, "6", mono), policy.Redirect, "", "6", ""},
		"the account of a center": {
			paying(t, p, "5",
				lab), policy.Keep, reasons.QuotaExhausted, "6", "lab has 5 pages left until Wednesday 1 April 2026 00:00 CEST.",
		},
		"nobody pays": {
			paying(t, p, "",
				nobodys), policy.Keep, reasons.QuotaExhausted, "0", "No print budget is meant for you. Ask your administrator for one.",
		},
		"a rule knows the account": {
			paying(t, p, "2", color, func(r *policy.Request) { r.Job.Pages = 0 }), policy.Keep, "color.low", "0", "You have 2 pages left.",
		},
		"nothing costs nothing": {paying(t, p, "0", pages(0)), policy.Redirect, "", "0", ""},
		"a held job pays later": {paying(t, p, "", func(r *policy.Request) { r.Point = policy.Arrival }), policy.Hold, "", "0", ""},
		"a direct one does not": {
			paying(t, p, "5", direct, onArrival), policy.Abort, reasons.QuotaExhausted, "6", "costs 6 pages",
		},
		"one copy, not on both sides too": {
			paying(t, p, "6", color, func(r *policy.Request) { r.Job.Copies = 5 }), policy.Keep, reasons.QuotaExhausted, "150",
			"As one copy in black and white it costs 6 pages of the 6 pages left.",
		},
		"too much to be counted": {paying(t, p, "5", pages(policy.MaxPages+1)), policy.Keep, reasons.PolicyError, "0", ""},
		"accounts not read":      {paying(t, p, ""), policy.Keep, reasons.QuotaUnavailable, "0", ""},
	} {
		d := p.Decide(c.req)
		if d.Verdict != c.verdict || d.Reason != c.reason || d.Cost != amount(t, c.cost) || !strings.Contains(d.Sentence(), c.told) {
			t.Errorf("%s: %s %s costs %s: %s %s", name, d.Verdict, d.Reason, d.Cost, d.Sentence(), d.Err)
		}
	}
	d := p.Decide(paying(t, p, "6", color))
	if d.Variant != (policy.Settings{ColorMode: "blackAndWhite"}) || d.IPP != "account-limit-reached" {
		t.Errorf("%+v", d)
	}
	if d := p.Decide(paying(t, p, "6")); len(d.Claims) != 1 || d.Claims[0].Account != (quota.Account{Kind: quota.User, Name: student.ID}) {
		t.Errorf("%+v", d.Claims)
	}
}

// What is reserved when a job comes is refused when it comes.
func TestReserveAtArrival(t *testing.T) {
	p := mustLoad(t, "reserve: arrival\n"+budgets)
	at := func(r *policy.Request) { r.Point = policy.Arrival }
	if d := p.Decide(paying(t, p, "5", at)); d.Verdict != policy.Abort || d.Reason != reasons.QuotaExhausted {
		t.Errorf("%+v", d)
	}
	if d := p.Decide(paying(t, p, "6", at)); d.Verdict != policy.Hold || d.Cost != 6*quota.Unit || len(d.Claims) != 1 {
		t.Errorf("%+v", d)
	}
}

// Without allowances nobody pays; with an overdraft there is more than is left.
func TestUnlimited(t *testing.T) {
	free := mustLoad(t, strings.Replace(budgets, "refuse", "free", 1))
	if d := free.Decide(paying(t, free, "", nobodys)); d.Verdict != policy.Redirect || d.Cost != 0 {
		t.Errorf("%+v", d)
	}
	if d := free.Decide(paying(t, free, "", nobodys, color)); d.Verdict != policy.Redirect { // account.left is without end
		t.Errorf("%+v", d)
	}
	p := mustLoad(t, budgets)
	r := paying(t, p, "5")
	r.Budget.Balances[0].Overdraft = quota.Unit
	if d := p.Decide(r); d.Verdict != policy.Redirect {
		t.Errorf("%+v", d)
	}
}

// What is out of reach is held, let go or aborted, as the file says, and only if
// it is needed.
func TestUnknown(t *testing.T) {
	missing := func(d ...policy.Dependency) func(*policy.Request) { return func(r *policy.Request) { r.Missing = d } }
	for _, mode := range []string{"", "hold", "allow", "abort"} {
		src := budgets
		if mode != "" {
			src = "unknown: {directory: " + mode + ", quota: " + mode + ", pages: " + mode + "}\n" + src
		}
		p := mustLoad(t, src)
		want := map[string]policy.Verdict{"": policy.Keep, "hold": policy.Keep, "allow": policy.Redirect, "abort": policy.Abort}[mode]
		for dep, reason := range map[policy.Dependency]string{
			policy.Directory: reasons.DirectoryUnavailable, policy.Ledger: reasons.QuotaUnavailable, policy.Document: reasons.PagesUnknown,
		} {
			r := paying(t, p, "6", missing(dep))
			d := p.Decide(r)
			if d.Verdict != want || (want != policy.Redirect && d.Reason != reason) || len(d.Unknown) == 0 ||
				d.Unknown[0] != (policy.Unknown{dep, policy.FailMode(cmp.Or(mode, "hold"))}) || (want == policy.Abort && d.Remedy == "") {
				t.Errorf("%s %s: %+v", mode, dep, d)
			}
			if d := p.Decide(paying(t, p, "", missing(dep), lab, onArrival)); d.Verdict != policy.Hold || len(d.Unknown) > 0 {
				t.Errorf("%s %s, not needed: %+v", mode, dep, d)
			}
		}
	}
	both := mustLoad(t,
		rules(`{name: a, at: arrival, when: 'job.copies == 1 || job.pages > 3', verdict: abort, reason: a.b, text: a, remedy: b}`))
	if d := both.Decide(arriving(missing(policy.Document))); d.Rule != "a" || d.Verdict != policy.Abort || len(d.Unknown) > 0 {
		t.Errorf("what is true anyway: %+v", d)
	}
	if d := both.Decide(arriving(missing(policy.Document), copies(2))); d.Rule != "a" || d.Verdict != policy.Hold ||
		d.Reason != reasons.PagesUnknown {
		t.Errorf("%+v", d)
	}
}

func TestNeeds(t *testing.T) {
	pages := rules(`{name: a, at: release, when: 'true', verdict: keep, reason: a.b, remedy: 'Take {{job.sheets}} sheets.'}`)
	for _, c := range []struct {
		src  string
		at   policy.Point
		mode string
		want policy.Needs
	}{
		{"", policy.Release, policy.ModePull, policy.Needs{}},
		{pages, policy.Release, policy.ModePull, policy.Needs{Pages: true}},
		{pages, policy.Arrival, policy.ModePull, policy.Needs{}},
		{budgets, policy.Arrival, policy.ModePull, policy.Needs{}},
		{"reserve: arrival\n" + budgets, policy.Arrival, policy.ModePull, policy.Needs{Groups: true, Pages: true, Balances: true}},
		{budgets, policy.Arrival, policy.ModeDirect, policy.Needs{Groups: true, Pages: true, Balances: true}},
		{budgets, policy.Release, policy.ModePull, policy.Needs{Groups: true, Pages: true, Balances: true}},
		{rules(`{name: a, at: arrival, when: 'job.color', verdict: abort, reason: a.b, text: {de: Nein.},
			remedy: b}`), policy.Arrival, policy.ModePull, policy.Needs{
			Language: true,
		}},
	} {
		if got := mustLoad(t, c.src).Needs(c.at, c.mode); got != c.want {
			t.Errorf("%s %s: %+v, want %+v\n%s", c.at, c.mode, got, c.want, c.src)
		}
	}
}

func TestLanguages(t *testing.T) {
	p := mustLoad(t, "language: de\n"+
		rules(`{name: a, at: arrival, when: 'true', verdict: abort, reason: a.b,
			text: {en: '{{job.copies}} is too many.', de: '{{job.copies}} ist zu viel.', de-CH: '{{job.copies}} isch zvil.'},
			remedy: {fr: Attendez., it: Aspetti.}}`))
	for owner, want := range map[string]string{
		"en": "1 is too many. Attendez. [a.b]", "en-GB": "1 is too many. Attendez. [a.b]", "de-ch": "1 isch zvil. Attendez. [a.b]",
		"de-AT": "1 ist zu viel. Attendez. [a.b]",
		"it":    "1 ist zu viel. Aspetti. [a.b]", "": "1 ist zu viel. Attendez. [a.b]",
	} {
		if got := p.Decide(arriving(func(r *policy.Request) { r.User.Language = owner })).Sentence(); got != want {
			t.Errorf("%q: %s", owner, got)
		}
	}
}

// Without a language of the file, the one that stands first is that of all texts: the
// alphabet says nothing.
func TestFirstLanguage(t *testing.T) {
	two := rules(
		`{name: a, at: arrival, when: 'job.color', verdict: abort, reason: a.b, text: {it: Chiuso., de: Zu.},
			remedy: {de: Warten., it: Aspetti.}}`,
		`{name: b, at: arrival, when: 'job.duplex', verdict: abort, reason: a.b, text: Closed., remedy: {fr: Attendez., de: Warten.}}`)
	for file, want := range map[string]string{
		two:                      "Chiuso. Aspetti. [a.b]",
		"language: de\n" + two:   "Zu. Warten. [a.b]",
		"language: en\n" + two:   "Chiuso. Warten. [a.b]",
		"language: it\r\n" + two: "Chiuso. Aspetti. [a.b]",
	} {
		p := mustLoad(t, file)
		if got := p.Decide(arriving(color, func(r *policy.Request) { r.User.Language = "en" })).Sentence(); got != want {
			t.Errorf("%s\n%s, want %s", file, got, want)
		}
		if got := p.Decide(arriving(color, func(r *policy.Request) { r.User.Language = "de-AT" })).Sentence(); got != "Zu. Warten. [a.b]" {
			t.Errorf("%s\nin German: %s", file, got)
		}
	}
	if got := mustLoad(t,
		two).Decide(arriving(func(r *policy.Request) { r.Job.Duplex = true })).Sentence(); got != "Closed. Attendez. [a.b]" {
		t.Error(got)
	}
}

func TestIPP(t *testing.T) {
	p := mustLoad(t, rules(
		`{name: a, at: arrival, when: 'job.color', verdict: abort, reason: a.b, text: a, remedy: b, ipp: account-closed}`,
		`{name: b, at: arrival, when: 'job.duplex', verdict: abort, reason: a.b, text: a, remedy: b}`,
		`{name: c, at: arrival, when: 'job.copies > 1', verdict: hold, reason: a.b}`,
		`{name: d, at: release, when: 'job.color', verdict: keep, reason: a.b, remedy: b}`))
	for want, r := range map[string]policy.Request{
		"account-closed": arriving(color), "aborted-by-system": arriving(func(r *policy.Request) { r.Job.Duplex = true }),
		"job-held-for-review": arriving(copies(2)),
		"job-release-wait":    arriving(), "": arriving(release),
	} {
		if got := p.Decide(r).IPP; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := p.Decide(arriving(release, color)).IPP; got != "job-held-for-review" {
		t.Error(got)
	}
}

// job.hour is told in the zone of the file.
func TestZone(t *testing.T) {
	p := mustLoad(t, "zone: Europe/Zurich\n"+rules(`{name: a, at: arrival, when: 'job.hour == 12', verdict: hold, reason: a.b}`))
	if d := p.Decide(arriving(func(r *policy.Request) { r.Job.Created = noon.Add(-time.Minute) })); d.Rule != "a" {
		t.Errorf("%+v", d)
	}
}

// An owner may choose what is cheaper, and nothing else.
func TestVariant(t *testing.T) {
	sent := policy.Job{Copies: 3}
	for s, want := range map[policy.Settings]bool{
		{}: true, {ColorMode: "blackAndWhite"}: true, {ColorMode: "grayscale", DuplexMode: "flipOnShortEdge", Copies: 3}: true,
		{Copies: 2, PagesPerSheet: 4}: true,
		{ColorMode: "color"}:          false, {ColorMode: "auto"}: false, {DuplexMode: "oneSided"}: false, {Copies: 4}: false,
		{Copies: -1}: false, {MediaSize: "A3"}: false, {Quality: "high"}: false, {PagesPerSheet: 3}: false,
	} {
		if got := s.Variant(sent); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
}

// Tests of a file can have pages, an account and what is out of reach.
func TestTestsOfBudgets(t *testing.T) {
	r, err := policyfile.Test("policy.yaml", []byte(budgets+`tests:
  - {name: paid, at: release, user: {groups: [students]}, job: {pages: 50}, expect: {verdict: redirect, cost: 50}}
  - {name: not paid, at: release, user: {groups: [students]}, job: {pages: 6}, account: {left: 5},
     expect: {verdict: keep, reason: quota.exhausted, text: 'On both sides it costs 3 pages'}}
  - {name: spent, at: release, user: {groups: [students]}, job: {pages: 6}, account: {spent: 40, reserved: 5},
     expect: {verdict: keep, cost: 6}}
  - {name: wrong, at: release, user: {groups: [students]}, job: {pages: 6}, expect: {verdict: redirect, cost: 7, text: much}}
  - {name: unknown, at: release, user: {groups: [students]}, unknown: [pages], expect: {verdict: keep, reason: pages.unknown}}
  - {name: nobody, at: release, expect: {verdict: keep, reason: quota.exhausted}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range r.Results {
		if want := map[string]string{"wrong": `cost is 6, not 7; the owner is told " "`}[res.Name]; res.Failure != want {
			t.Errorf("%s: %s", res.Name, res.Failure)
		}
	}
}

// What can't be found out about who pays is an error, and never that nobody does.
func TestBudgetThatCannotBeTold(t *testing.T) {
	p, err := policyfile.Load("policy.yaml", []byte(`
merge: sum
allowances:
  - {name: a, when: 'true', account: center/lab, pages: 9_000_000_000_000, every: week}
  - {name: b, when: 'true', account: center/lab, pages: 9_000_000_000_000, every: week}
`))
	if err != nil {
		t.Fatal(err)
	}
	if claims, err := p.ClaimsOn(quota.Account{Kind: quota.Center, Name: "lab"}); err == nil {
		t.Errorf("%+v", claims)
	}
	req := policy.Request{Point: policy.Release, User: policy.User{ID: "11111111-2222-4333-8444-555555555555"}, Job: policy.Job{Pages: 1}}
	req.Budget = p.Budget(req)
	if req.Budget.Err() == nil {
		t.Error("a budget without an error")
	}
	if d := p.Decide(req); d.Verdict != policy.Keep {
		t.Errorf("it goes on: %+v", d)
	}
	if claims, err := p.ClaimsOn(quota.Account{Kind: quota.Center, Name: "other"}); err != nil || len(claims) != 0 {
		t.Errorf("%+v, %v", claims, err)
	}
}

// Who lets another's job go on is told of the owner's budget as of the owner's.
func TestForAnother(t *testing.T) {
	p := mustLoad(t, budgets)
	for name, c := range map[string]struct {
		req  policy.Request
		told string
	}{
		"own":    {paying(t, p, "5"), "and its owner has 5 pages left"},
		"shared": {paying(t, p, "5", lab), "and lab has 5 pages left"},
		"none":   {paying(t, p, "", nobodys), "No print budget is meant for the owner"},
		"paid":   {paying(t, p, "6"), ""},
	} {
		d := policy.ForAnother(p.Decide(c.req))
		if !strings.Contains(d.Sentence(), c.told) || strings.Contains(d.Sentence(), "ou have") ||
			strings.Contains(d.Sentence(), " for you") {
			t.Errorf("%s: %s", name, d.Sentence())
		}
	}
}
