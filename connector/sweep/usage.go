package sweep

import (
	"time"

	"pullprint/connector/decision"
	"pullprint/policy"
)

// UsageDay compares a day by Graph's own report with what this program let
// print. They need not be the same: Graph counts all printers of the tenant, and
// pages as printers report them.
type UsageDay struct {
	// Date is the day in UTC, as 2026-03-10.
	Date string `json:"date"`
	// Graph is what Graph says was printed, in sides; Pullprint what was let print.
	Graph     int64 `json:"graph_pages"`
	Pullprint int64 `json:"pullprint_pages"`
	// Unknown counts jobs let print of which the pages were never known.
	Unknown int `json:"unknown_jobs,omitempty"`
}

// Divergence is by which part of what Graph says the two differ: 0 when they are
// the same.
func (u UsageDay) Divergence() float64 {
	switch {
	case u.Graph == u.Pullprint:
		return 0
	case u.Graph == 0:
		return 1
	}
	return float64(u.Graph-u.Pullprint) / float64(u.Graph)
}

// Sides is how many sides a decision let print, all copies together; ok is false
// when it let nothing print or the pages of the job were never known.
func Sides(d *decision.Decision) (sides int64, prints, ok bool) {
	if v := policy.Verdict(d.Verdict); v != policy.Redirect && v != policy.Complete {
		return 0, false, false
	}
	in := &d.Input
	if in.Pages == nil || (in.Pages.Unknown != "" && !in.Pages.Estimated) {
		return 0, true, false
	}
	job := policy.Job{Copies: in.Copies, Pages: in.Pages.Count, PagesPerSheet: in.PagesPerSheet}
	for _, r := range in.Ranges {
		job.Ranges = append(job.Ranges, policy.PageRange(r))
	}
	if d.Set != nil {
		policy.Settings(*d.Set).Apply(&job)
	}
	paper, err := job.Paper()
	return paper.Sides, true, err == nil
}

// TellUsage sets the gauges of the newest comparison.
func (s *Sweeper) TellUsage(u UsageDay, now time.Time) {
	s.metrics.usage.WithLabelValues("graph").Set(float64(u.Graph))
	s.metrics.usage.WithLabelValues("pullprint").Set(float64(u.Pullprint))
	s.metrics.usageDiff.Set(u.Divergence())
	s.metrics.usageAt.Set(float64(now.Unix()))
}
