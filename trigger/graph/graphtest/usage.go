package graphtest

import (
	"cmp"
	"slices"
)

// usageJSON is a printUsageByUser.
type usageJSON struct {
	ID            string `json:"id"`
	User          string `json:"userPrincipalName"`
	Date          string `json:"usageDate"`
	Pages         int64  `json:"pageCount"`
	BlackAndWhite int64  `json:"blackAndWhitePageCount"`
	Color         int64  `json:"colorPageCount"`
	Jobs          int64  `json:"completedJobCount"`
	ColorJobs     int64  `json:"completedColorJobCount"`
	MonoJobs      int64  `json:"completedBlackAndWhiteJobCount"`
	Incomplete    int64  `json:"incompleteJobCount"`
}

// listUsage adds up what was printed by person and day.
func (s *Sim) listUsage(c *call) reply {
	s.mu.Lock()
	days := map[[2]string]*usageJSON{}
	for _, p := range s.paper {
		date, user := p.At.UTC().Format("2006-01-02"), ""
		if u := s.users[p.User]; u != nil {
			user = u.UPN
		}
		key := [2]string{date, user}
		if days[key] == nil {
			days[key] = &usageJSON{ID: s.dice.guid("usage", date+user), User: user, Date: date}
		}
		u, sides := days[key], int64(p.Pages*p.Copies)
		u.Pages += sides
		u.Jobs++
		if p.Color {
			u.Color, u.ColorJobs = u.Color+sides, u.ColorJobs+1
		} else {
			u.BlackAndWhite, u.MonoJobs = u.BlackAndWhite+sides, u.MonoJobs+1
		}
	}
	s.mu.Unlock()
	all := make([]usageJSON, 0, len(days))
	for _, u := range days {
		all = append(all, *u)
	}
	slices.SortFunc(all, func(a, b usageJSON) int {
		return cmp.Or(cmp.Compare(a.Date, b.Date),
			cmp.Compare(a.User, b.User))
	})
	return page(s, c, "reports/dailyPrintUsageByUser", all)
}
