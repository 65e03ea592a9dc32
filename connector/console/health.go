package console

import (
	"cmp"
	"context"
	"time"

	"pullprint/connector/console/view"
)

// healthLine is one check.
type healthLine struct {
	Name, Text string
	OK         bool
	// English is set when the text is that of a check, as /readyz has it.
	English bool
	// Help is the section of the documentation that says what to do when it is not OK.
	Help string
}

// helpOn are these sections by the names of checks; helpOnOthers is that of the rest.
var helpOn = map[string]string{ //nolint:gosec // token is the name of a check
	"store": "runbook.md#pullprintnotready", "records": "runbook.md#pullprintnotready",
	"integrity": "runbook.md#pullprintnotready", "badges": "runbook.md#pullprintnotready",
	"token": "runbook.md#pullprintsigninfailing", "subscription": "runbook.md#pullprintsubscriptiongone",
	"policy": "runbook.md#pullprintreloadfailed", "graph": "runbook.md#pullprintgraphunreachable",
	"readers": "readers.md#readers-that-type", "tokens": "security.md#secrets",
	"sweep": "runbook.md#pullprintsweepstale",
}

const helpOnOthers = "troubleshooting.md#its-lines"

// healthLines are all checks: what is wrong stands at the top of the console, the others behind a line.
type healthLines struct{ Wrong, Well []healthLine }

// health are the checks of readiness and the advices, the sweep, and the readers that are locked.
func (p *Pages) health(ctx context.Context, in view.Words, devices []deviceLine) (h healthLines) {
	add := func(l healthLine) {
		if l.OK {
			h.Well = append(h.Well, l)
		} else {
			l.Help = cmp.Or(l.Help, helpOn[l.Name], helpOnOthers)
			h.Wrong = append(h.Wrong, l)
		}
	}
	for _, r := range p.Health.Results(ctx) {
		add(healthLine{Name: r.Name, Text: r.Text(), OK: r.OK(), English: true})
	}
	now := time.Now()
	add(p.sweep(in, now))
	for _, d := range devices {
		if now.Before(d.LockedUntil) {
			locked := in.Text("locked for %s after too many unknown badges", in.Span(d.LockedUntil.Sub(now)))
			add(healthLine{Name: "reader " + d.ID, Text: locked, Help: "readers.md#over-http"})
		}
	}
	return h
}

// lateSweep is the age of the last sweep from which it counts as late: there is one every
// minute, and one may fail.
const lateSweep = 3 * time.Minute

func (p *Pages) sweep(in view.Words, now time.Time) healthLine {
	at := p.Swept()
	if at.IsZero() {
		return healthLine{Name: "sweep", Text: in.Text("not by this instance yet"), OK: true}
	}
	return healthLine{Name: "sweep", Text: in.Ago(at), OK: now.Sub(at) < lateSweep}
}
