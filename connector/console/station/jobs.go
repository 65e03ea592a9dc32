package station

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"pullprint/connector/console/view"
	"pullprint/connector/display"
	"pullprint/connector/recovery"
	"pullprint/connector/release"
	"pullprint/policy"
	"pullprint/policy/badge"
	"pullprint/policy/quota"
	"pullprint/policy/reasons"
	"pullprint/trigger/graph"
)

// Prints is how many of Jobs are let go on when all are asked for.
func (s stationPage) Prints() (n int) {
	for i := range s.Jobs {
		if !s.Jobs[i].Stays {
			n++
		}
	}
	return n
}

// othersJobs are the jobs of an owner who lets the person release them.
type othersJobs struct {
	// Name is the user principal name of who it is, or else the id.
	Name string
	Jobs []release.Quote
	// Balances are what is left on the accounts that pay for these.
	Balances []release.BalanceText
}

// Cost is what all that are let go on cost; zero when nobody pays.
func (s stationPage) Cost() (sum quota.Amount) {
	for i := range s.Jobs {
		if !s.Jobs[i].Stays && s.Jobs[i].Price != "" {
			sum += s.Jobs[i].Cost
		}
	}
	return sum
}

// quoteLine is a job in the list of a page; own says that the person may delete it.
// The keys are empty when the letters are used up.
type quoteLine struct {
	Page                            view.Page
	Quote                           release.Quote
	Own                             bool
	PrintKey, OptionsKey, DeleteKey string
	// Title is empty when it is not shown.
	Title string
	// Reason is why it would be refused; its text is empty when it would not be.
	Reason release.Reason
	// Printable is true when a press may print it as it is.
	Printable bool
}

// jobKeys are the access keys of jobs, in turn: all letters but those of Print all and Done.
const jobKeys = "bcefghijklmnopqrstuvwxyz"

// lineOf is a job of a page with its access keys, in the order of the lists: one to print it,
// one for its options, and for the person's own one to delete it.
func lineOf(p view.Page, q release.Quote, own bool) quoteLine {
	s, _ := p.Data.(stationPage)
	line := quoteLine{Page: p, Quote: q, Own: own, Title: s.Titles[q.Ref]}
	refused := q.Verdict != string(policy.Redirect) && q.Reason.Code != ""
	if refused {
		line.Reason = p.In.Refused(q, !own)
	}
	line.Printable = !s.Printer.Unavailable && (!refused || reasons.Waits(q.Reason.Code))
	keys := jobKeys
	take := func() (key string) {
		if keys != "" {
			key, keys = keys[:1], keys[1:]
		}
		return key
	}
	for i := range s.Jobs {
		line.PrintKey, line.OptionsKey, line.DeleteKey = take(), take(), take()
		if s.Jobs[i].Ref == q.Ref {
			return line
		}
	}
	line.DeleteKey = ""
	for _, o := range s.Others {
		for i := range o.Jobs {
			line.PrintKey, line.OptionsKey = take(), take()
			if o.Jobs[i].Ref == q.Ref {
				return line
			}
		}
	}
	return line
}

// list finds the jobs that a person can release: their own, and by owner those of people who
// let them.
func (p *Pages) list(ctx context.Context, s *stationPage, owner string) error {
	quotes, balances, err := p.Releaser.Quotes(ctx, owner, s.Device)
	if err != nil {
		return err
	}
	of := map[string]int{}
	for _, q := range quotes {
		if q.Owner == owner {
			s.Jobs = append(s.Jobs, q)
			continue
		}
		i, known := of[q.Owner]
		if !known {
			i, of[q.Owner] = len(s.Others), len(s.Others)
			s.Others = append(s.Others, othersJobs{Name: q.Owner})
		}
		s.Others[i].Jobs = append(s.Others[i].Jobs, q)
	}
	for _, b := range balances {
		if b.Owner == owner {
			s.Balances = append(s.Balances, b)
		} else if i, known := of[b.Owner]; known {
			s.Others[i].Balances = append(s.Others[i].Balances, b)
		}
	}
	p.describe(ctx, s, owner)
	return nil
}

// describe adds what a page says of people, jobs and the printer beyond what is stored; what
// can't be read within view.Within is left out.
func (p *Pages) describe(ctx context.Context, s *stationPage, owner string) {
	ctx, cancel := context.WithTimeout(ctx, view.Within)
	defer cancel()
	var jobs []view.Owned
	for i := range s.Jobs {
		jobs = append(jobs, view.Owned{Ref: s.Jobs[i].Ref, Owner: s.Jobs[i].Owner})
	}
	for _, o := range s.Others {
		for i := range o.Jobs {
			jobs = append(jobs, view.Owned{Ref: o.Jobs[i].Ref, Owner: o.Jobs[i].Owner})
		}
	}
	reads := []func(){
		func() { s.Titles = p.Site.Titles(ctx, p.Config.Titles, jobs) },
		func() { s.Printer = p.readiness(ctx, s.Device) },
		func() { p.name(ctx, s.Others) },
		func() {
			who := p.Site.Person(ctx, owner)
			s.Name, s.languages = who.Given, who.Language
		},
	}
	if err := recovery.Each(len(reads), len(reads), func(i int) { reads[i]() }); err != nil {
		p.log.Debug("page shown without what could not be read", zap.Error(err))
	}
}

// name replaces ids by names, or else user principal names, as far as Entra or badges have them.
func (p *Pages) name(ctx context.Context, others []othersJobs) {
	if len(others) == 0 || p.Badges == nil {
		return
	}
	ids := make([]string, len(others))
	for i := range others {
		ids[i] = others[i].Name
	}
	err := p.Badges.List(ctx, "", func(b badge.Badge) error {
		i := slices.Index(ids, b.Owner)
		if i >= 0 && b.UserPrincipalName != "" {
			others[i].Name = display.Plain(b.UserPrincipalName)
		}
		return nil
	})
	for i := range others {
		if name := p.Site.Person(ctx, ids[i]).Display; name != "" {
			others[i].Name = name
			continue
		}
		if err != nil || p.Users == nil || others[i].Name != ids[i] {
			continue
		}
		var u graph.User
		var known bool
		if u, known, err = p.Users.User(ctx, ids[i]); known && u.UserPrincipalName != "" {
			others[i].Name = display.Plain(u.UserPrincipalName)
		}
	}
	if err != nil {
		p.log.Debug("names not read, ids are shown", zap.Error(err))
	}
}
