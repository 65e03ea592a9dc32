package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"pullprint/connector/clock"
	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/policy/quota"
)

// traceWithin bounds the reading of the decisions for one trace: a person waits for it.
const traceWithin = 3 * time.Second

// TraceMargin is how long before and after the life of a job its decisions are looked for:
// the clocks of two instances may each differ from the store's.
const TraceMargin = 2 * clock.StoreSkew

// Event is one thing that happened in a job's life.
type Event struct {
	At time.Time `json:"at"`
	// Kind is created, state, decision or action.
	Kind string `json:"kind"`
	// By is the instance, or the person behind an action.
	By     string    `json:"by,omitempty"`
	State  job.State `json:"state,omitempty"`
	Note   string    `json:"note,omitempty"`
	Device string    `json:"device,omitempty"`
	Actor  string    `json:"actor,omitempty"`
	// Asked is what asked for a decision.
	Asked decision.Origin `json:"asked,omitempty"`

	Point   string `json:"point,omitempty"`
	Verdict string `json:"verdict,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Policy  string `json:"policy,omitempty"`
	Text    string `json:"text,omitempty"`
	Remedy  string `json:"remedy,omitempty"`
	Error   string `json:"error,omitempty"`
	// Set is what rules changed of the job, SetBy their names.
	Set    *decision.Settings `json:"set,omitempty"`
	SetBy  string             `json:"set_by,omitempty"`
	Shadow *decision.Shadow   `json:"shadow,omitempty"`
	// Cost is what the job costs those in Accounts.
	Cost     quota.Amount       `json:"cost,omitzero"`
	Accounts []string           `json:"accounts,omitempty"`
	Unknown  []decision.Unknown `json:"unknown,omitempty"`
	Answer   *decision.Answer   `json:"answer,omitempty"`
}

// Why is what asked for a decision, in words; empty when it is not known.
func (e *Event) Why() string {
	delegate := ""
	if e.Actor != "" {
		delegate = " for " + e.Actor
	}
	switch e.Asked {
	case decision.AskedByArrival:
		return "as the job arrived"
	case decision.AskedByBadge:
		return "asked by a badge at the reader" + delegate
	case decision.AskedByStation:
		return "asked at the station" + delegate
	case decision.AskedByBadgeToken:
		return "asked by a badge that was sent with the API token " + e.Actor
	case decision.AskedByToken:
		return "asked with the API token " + e.Actor
	case decision.AskedBySignIn:
		return "asked by " + cmp.Or(e.Actor, "its owner") + ", signed in with Entra"
	case decision.AskedByPhone:
		return "asked by phone at the device" + delegate
	case decision.AskedByRemote:
		return "asked from afar by its owner, signed in with Entra"
	case decision.AskedByErasure:
		return "asked by the erasure of the owner's data" + delegate
	case decision.AskedBySweep:
		return "by the sweep, as the hold ended"
	}
	return strings.TrimPrefix(delegate, " ") // stored by an earlier version
}

// eventOf is a decision as an event.
func eventOf(d *decision.Decision) Event {
	return Event{
		At: d.At, Kind: "decision", By: d.By, Device: d.Device, Actor: d.Actor, Asked: d.Asked,
		Point: d.Point, Verdict: d.Verdict, Reason: d.Reason, Rule: d.Rule, Policy: d.Policy,
		Text: d.Text, Remedy: d.Remedy, Error: d.Error,
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
func (a *API) trace(ctx context.Context, rec *job.Record) (events []Event, complete bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, traceWithin)
	defer cancel()
	if !rec.Created.IsZero() {
		events = append(events, Event{At: rec.Created, Kind: "created", Note: "sent to " + rec.Queue})
	}
	last := rec.Seen
	for _, s := range rec.Trail {
		events = append(events, Event{At: s.At, Kind: "state", By: s.By, State: s.State, Note: s.Note})
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
		if json.Unmarshal(body, &d) == nil && d.Ref == rec.Ref {
			events = append(events, eventOf(&d))
		}
		return nil
	}
	actions := func(stored time.Time, body []byte) error {
		if past(stored) {
			return errEnough
		}
		var act Action
		if json.Unmarshal(body, &act) == nil && act.Ref == rec.Ref {
			events = append(events,
				Event{At: act.At, Kind: "action", By: act.By, Note: act.Action, Device: act.Device, Actor: act.Actor})
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
	slices.SortStableFunc(events, func(x, y Event) int {
		return cmp.Or(x.At.Compare(y.At), cmp.Compare(rank[x.Kind], rank[y.Kind]))
	})
	return events, complete, err
}
