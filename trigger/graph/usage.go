package graph

import (
	"context"
	"slices"
	"strings"
)

// ReportRights are the delegated permissions of DailyPrintUsage. Apps can't have them: Graph
// shows the report to people only
// (https://learn.microsoft.com/graph/api/reportroot-list-dailyprintusagebyuser).
var ReportRights = []string{"Reports.Read.All"}

// Usage is how much was printed in a day, according to Graph, by everyone in the tenant and on
// all its printers.
type Usage struct {
	// Date is the day, as 2026-03-10, in UTC.
	Date string
	// Pages are printed sides as printers report them, an estimate; Jobs are completed ones.
	Pages, Jobs int64
}

// DailyPrintUsage returns how much was printed per day, the oldest day first
// (https://learn.microsoft.com/graph/api/reportroot-list-dailyprintusagebyuser). It needs the
// token of a person with ReportRights. How far back it goes is not documented.
func (c *Client) DailyPrintUsage(ctx context.Context) ([]Usage, error) {
	type row struct {
		Date          string `json:"usageDate"`
		Pages         *int64 `json:"pageCount"`
		BlackAndWhite int64  `json:"blackAndWhitePageCount"`
		Color         int64  `json:"colorPageCount"`
		Jobs          int64  `json:"completedJobCount"`
	}
	days := map[string]*Usage{}
	err := each(ctx, c, c.on(listUsage), func(r row) bool {
		if len(r.Date) < len("2006-01-02") {
			return true
		}
		date := r.Date[:len("2006-01-02")]
		u := days[date]
		if u == nil {
			u = &Usage{Date: date}
			days[date] = u
		}
		pages := r.BlackAndWhite + r.Color
		if r.Pages != nil {
			pages = *r.Pages
		}
		u.Pages, u.Jobs = u.Pages+pages, u.Jobs+r.Jobs
		return true
	})
	if err != nil {
		return nil, err
	}
	list := make([]Usage, 0, len(days))
	for _, u := range days {
		list = append(list, *u)
	}
	slices.SortFunc(list, func(a, b Usage) int { return strings.Compare(a.Date, b.Date) })
	return list, nil
}
