// Package notice is what people are told beside the audit: the kinds of notices, which decisions
// cause one, and how they are stored. Package notify delivers them.
package notice

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"pullprint/connector/decision"
	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// The kinds of notices. They are the last token of the subject, and the names of templates.
const (
	// Aborted is of a job that was ended while its owner was not at a device.
	Aborted = "job.aborted"
	// Kept is of a job that was not released while its owner was not at a device.
	Kept = "job.kept"
	// Failed is of a job that was let go on and failed at its printer.
	Failed = "job.failed"
	// HoldEnding is of a held job that will be aborted at HoldUntil.
	HoldEnding = "hold.ending"
	// HoldExpired is of a held job that was aborted since nobody released it in time.
	HoldExpired = "hold.expired"
	// BudgetLow is of an account of which little is left, once a period.
	BudgetLow = "budget.low"
	// BudgetExhausted is of an account on which nothing is left, once a period.
	BudgetExhausted = "budget.exhausted"
	// ReleasedByAnother is of a job that somebody else released.
	ReleasedByAnother = "job.released-by-another"
	// BadgeEnrolled is of a badge that was enrolled for a person.
	BadgeEnrolled = "badge.enrolled"
	// PINChanged is of a person's PIN that was set.
	PINChanged = "pin.changed"
)

// Kinds are all of them, in the order in which the documentation lists them.
var Kinds = []string{
	Aborted, Kept, Failed, HoldEnding, HoldExpired, BudgetLow, BudgetExhausted, ReleasedByAnother, BadgeEnrolled, PINChanged,
}

// Mandatory reports whether notices of a kind tell of what proves who a person is: they are never left
// out, since who did it without them may have seen to that.
func Mandatory(kind string) bool { return kind == BadgeEnrolled || kind == PINChanged }

// OfOneJob reports whether notices of a kind are about a job of the person.
func OfOneJob(kind string) bool {
	switch kind {
	case Aborted, Kept, Failed, HoldEnding, HoldExpired, ReleasedByAnother:
		return true
	}
	return false
}

// Notice is a message of PULLPRINT_NOTICES: what one person is to be told about one job. It holds no
// more about the job than its decision does.
type Notice struct {
	// ID is that of the decision with the kind: the same however often the notice is stored.
	ID   string    `json:"id,omitempty"`
	Kind string    `json:"kind"`
	At   time.Time `json:"at,omitzero"`
	graph.Ref
	Queue string `json:"queue"`
	// Owner is the Entra object id of whom to tell.
	Owner string `json:"owner"`
	// Reason, Text and Remedy are those of the decision.
	Reason string `json:"reason,omitempty"`
	Text   string `json:"text,omitempty"`
	Remedy string `json:"remedy,omitempty"`
	// Device is where the job was released, or was to be; of a job that failed where it was sent, its
	// queue.
	Device string `json:"device,omitempty"`
	// Refunded is what was given back of the cost of a job that failed; absent when nobody paid, or
	// when that is not known any more.
	Refunded *quota.Amount `json:"refunded,omitempty"`
	// Left and Limit are what is left of a budget until Renews, and what there was.
	Left      *quota.Amount `json:"left,omitempty"`
	Limit     *quota.Amount `json:"limit,omitempty"`
	Renews    time.Time     `json:"renews,omitzero"`
	Created   time.Time     `json:"created,omitzero"`
	HoldUntil time.Time     `json:"hold_until,omitzero"`
	// Devices are those at which a held job can be released.
	Devices []string `json:"devices,omitempty"`
}

// Stream stores notices; *bus.Bus is one. Storing the same msgID again changes nothing.
type Stream interface {
	PublishNotice(ctx context.Context, kind, msgID string, body []byte) error
}

// Notices is where the sweep stores notices; *bus.Bus is one.
type Notices interface {
	Stream
	// Notify publishes on pullprint.notices, where nothing is stored. The error is
	// store.ErrUnheard when nobody listens there.
	Notify(ctx context.Context, msgID string, body []byte) error
}

// ID is the message id of the notice of a kind that a decision causes.
func ID(decisionID, kind string) string { return decisionID + ":" + kind }

// Write stores a notice. After an error it may be stored: write it again under the same id.
func Write(ctx context.Context, s Stream, n *Notice) error {
	if !n.Bound() {
		return fmt.Errorf("store notice: its id is empty, or too long: %d bytes", len(n.ID))
	}
	body, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode notice: %w", err)
	}
	if err := s.PublishNotice(ctx, n.Kind, n.ID, body); err != nil {
		return fmt.Errorf("store notice: %w", err)
	}
	return nil
}

// Expiry is the notice about the end of a hold as earlier versions published it.
type Expiry struct {
	// Kind is "expiry".
	Kind string `json:"kind"`
	graph.Ref
	// The others are those of Notice.
	Queue     string    `json:"queue"`
	Owner     string    `json:"owner"`
	Created   time.Time `json:"created"`
	HoldUntil time.Time `json:"hold_until"`
	Devices   []string  `json:"devices"`
}

// WriteHoldEnding stores a notice about the end of a hold, under the id of the decision that will
// end it. Before that it publishes an Expiry on pullprint.notices, for bridges that have not moved to
// pullprint.notices.hold.ending yet.
func WriteHoldEnding(ctx context.Context, s Notices, decisionID string, n Notice) error {
	body, err := json.Marshal(&Expiry{
		Kind: "expiry", Ref: n.Ref, Queue: n.Queue, Owner: n.Owner, Created: n.Created, HoldUntil: n.HoldUntil, Devices: n.Devices,
	})
	if err != nil {
		return fmt.Errorf("encode notice: %w", err)
	}
	_ = s.Notify(ctx, decisionID, body) // nobody needs to listen there: what counts is stored
	n.ID, n.Kind = ID(decisionID, HoldEnding), HoldEnding
	return Write(ctx, s, &n)
}

// Of are the notices that a decision causes: none, or one about the job and those about the owner's
// account, of which so many percent or less are low. It depends on the decision only, so that it gives
// the same ones after a crash.
func Of(d *decision.Decision, low int) []Notice {
	if _, person := graph.CanonicalGUID(d.Owner); !person || d.Asked == decision.AskedByErasure || !plausible(d.ID, d.Ref) {
		return nil
	}
	var list []Notice
	if kind := kindOf(d); kind != "" {
		list = append(list, about(d, kind))
	}
	return append(list, ofBudget(d, low)...)
}

// about is a notice with what a decision says.
func about(d *decision.Decision, kind string) Notice {
	return Notice{
		ID: ID(d.ID, kind), Kind: kind, At: d.At, Ref: d.Ref, Queue: d.Queue, Owner: d.Owner, Reason: d.Reason, Text: d.Text,
		Remedy: d.Remedy, Device: d.Device, Created: d.Input.Created,
	}
}
