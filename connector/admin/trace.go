package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/clock"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/policy"
)

// traceWithin bounds the reading of the decisions for one trace: a person waits for it.
const traceWithin = 3 * time.Second

// TraceMargin is how long before and after the life of a job its decisions are looked for:
// the clocks of two instances may each differ from the store's.
const TraceMargin = 2 * clock.StoreSkew

// eventOf is a decision as an event, in words for who is not the owner of the job.
func eventOf(d *decision.Decision) apiclient.Event {
	told := policy.ForAnother(policy.Decision{Reason: d.Reason, Text: d.Text, Remedy: d.Remedy})
	return apiclient.Event{
		At: d.At, Kind: "decision", By: d.By, Device: d.Device, Actor: d.Actor, Asked: d.Asked,
		Point: d.Point, Verdict: d.Verdict, Reason: d.Reason, Rule: d.Rule, Policy: d.Policy,
		Text: told.Text, Remedy: told.Remedy, Error: d.Error,
		Set: d.Set, SetBy: d.SetBy, Shadow: d.Shadow,
		Cost: d.Cost, Accounts: d.Accounts, Unknown: d.Unknown, Answer: d.Answer,
	}
}

// rank orders what happened in the same moment: what was asked, what was
// decided, what was done.
var rank = map[string]int{"created": 0, "action": 1, "decision": 2, "state": 3}

// errEnough ends a reading of the audit.
var errEnough = errors.New("enough")

// trace is a job's whole life in order, whatever instance had a part in it: the
// steps of its record, and the decisions and actions of the audit.
func (a *API) trace(ctx context.Context, rec *job.Record) (events []apiclient.Event, complete bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, traceWithin)
	defer cancel()
	if !rec.Created.IsZero() {
		events = append(events, apiclient.Event{At: rec.Created, Kind: "created", Note: "sent to " + rec.Queue})
	}
	last := rec.Seen
	for _, s := range rec.Trail {
		events = append(events, apiclient.Event{At: s.At, Kind: "state", By: s.By, State: s.State, Note: s.Note})
		if rec.Paper == nil || !s.At.Equal(rec.Paper.At) { // up to a day after the last decision
			last = s.At
		}
	}
	past := func(stored time.Time) bool { return rec.State.Final() && stored.After(last.Add(TraceMargin)) }
	since := rec.Seen.Add(-TraceMargin)
	decisions := func(stored time.Time, body []byte) error {
		if past(stored) {
			return errEnough
		}
		var d decision.Decision
		if json.Unmarshal(body, &d) == nil && rec.SameJob(d.Ref, d.Owner) {
			events = append(events, eventOf(&d))
		}
		return nil
	}
	actions := func(stored time.Time, body []byte) error {
		if past(stored) {
			return errEnough
		}
		var act apiclient.Action
		if json.Unmarshal(body, &act) == nil && rec.SameJob(act.Ref, act.Owner) {
			events = append(events,
				apiclient.Event{At: act.At, Kind: "action", By: act.By, Note: act.Action, Device: act.Device, Actor: act.Actor})
		}
		return nil
	}
	err = a.Audit.Decisions(ctx, since, false, decisions)
	if err == nil || errors.Is(err, errEnough) {
		err = a.Audit.Actions(ctx, since, false, actions)
	}
	complete = err == nil || errors.Is(err, errEnough)
	if complete || ctx.Err() != nil {
		err = nil
	}
	slices.SortStableFunc(events, func(x, y apiclient.Event) int {
		return cmp.Or(x.At.Compare(y.At), cmp.Compare(rank[x.Kind], rank[y.Kind]))
	})
	return events, complete, err
}
