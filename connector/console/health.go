package console

import (
	"context"
	"time"

	"pullprint/connector/console/view"
)

// healthLine is one check.
type healthLine struct {
	Name, Text string
	OK         bool
}

// healthLines are all checks: what is wrong stands at the top of the console, the others behind a line.
type healthLines struct{ Wrong, Well []healthLine }

// health are the checks of readiness and the advices, the sweep, and the readers that are locked.
func (p *Pages) health(ctx context.Context, devices []deviceLine) (h healthLines) {
	add := func(l healthLine) {
		if l.OK {
			h.Well = append(h.Well, l)
		} else {
			h.Wrong = append(h.Wrong, l)
		}
	}
	for _, r := range p.Health.Results(ctx) {
		add(healthLine{r.Name, r.Text(), r.OK()})
	}
	now := time.Now()
	add(p.sweep(now))
	for _, d := range devices {
		if now.Before(d.LockedUntil) {
			add(healthLine{"reader " + d.ID, "locked for " + view.Span(d.LockedUntil.Sub(now)) + " after too many unknown badges", false})
		}
	}
	return h
}

// lateSweep is the age of the last sweep from which it counts as late: there is one every
// minute, and one may fail.
const lateSweep = 3 * time.Minute

func (p *Pages) sweep(now time.Time) healthLine {
	at := p.Swept()
	if at.IsZero() {
		return healthLine{"sweep", "not by this instance yet", true}
	}
	return healthLine{"sweep", view.Span(now.Sub(at)) + " ago", now.Sub(at) < lateSweep}
}
