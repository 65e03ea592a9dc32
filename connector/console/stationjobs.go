package console

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"pullprint/connector/release"
	"pullprint/policy/badge"
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

// quoteLine is a job in the list of a page; own says that the person may delete it.
// The keys are empty when the letters are used up.
type quoteLine struct {
	Page                page
	Quote               release.Quote
	Own                 bool
	PrintKey, DeleteKey string
}

// jobKeys are the access keys of jobs, in turn: all letters but those of Leave and
// Print all.
const jobKeys = "bcdefghijkmnopqrstuvwxyz"

// lineOf is a job of a page with its access keys: two for each of the person's own
// jobs in the order of the list, then one for each of others'.
func lineOf(p page, q release.Quote, own bool) quoteLine {
	line := quoteLine{Page: p, Quote: q, Own: own}
	s, _ := p.Data.(stationPage)
	next := 0
	for i := range s.Jobs {
		if next+2 > len(jobKeys) {
			return line
		}
		if s.Jobs[i].Ref == q.Ref {
			line.PrintKey, line.DeleteKey = jobKeys[next:next+1], jobKeys[next+1:next+2]
			return line
		}
		next += 2
	}
	for _, o := range s.Others {
		for i := range o.Jobs {
			if next == len(jobKeys) {
				return line
			}
			if o.Jobs[i].Ref == q.Ref {
				line.PrintKey = jobKeys[next : next+1]
				return line
			}
			next++
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
	p.name(ctx, s.Others)
	return nil
}

// name replaces ids by user principal names, as far as badges or Entra have them.
func (p *Pages) name(ctx context.Context, others []othersJobs) {
	if len(others) == 0 || p.Badges == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, namesWithin)
	defer cancel()
	ids := make([]string, len(others))
	for i := range others {
		ids[i] = others[i].Name
	}
	err := p.Badges.List(ctx, "", func(b badge.Badge) error {
		i := slices.IndexFunc(others, func(o othersJobs) bool { return o.Name == b.Owner })
		if i >= 0 && b.UserPrincipalName != "" {
			others[i].Name = b.UserPrincipalName
		}
		return nil
	})
	for i := range others {
		if err != nil || p.Users == nil {
			break
		}
		if others[i].Name != ids[i] {
			continue
		}
		var u graph.User
		var known bool
		if u, known, err = p.Users.User(ctx, ids[i]); known && u.UserPrincipalName != "" {
			others[i].Name = u.UserPrincipalName
		}
	}
	if err != nil {
		p.log.Debug("names not read, ids are shown", zap.Error(err))
	}
}
