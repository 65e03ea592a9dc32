package apiclient

import (
	"cmp"
	"strings"
	"time"

	"pullprint/connector/decision"
	"pullprint/connector/job"
	"pullprint/policy/quota"
)

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
	case decision.AskedByPIN:
		return "asked by a PIN at the reader" + delegate
	case decision.AskedByStation:
		return "asked at the station" + delegate
	case decision.AskedByBadgeToken:
		return "asked by a badge that was sent with the API token " + e.Actor
	case decision.AskedByPINToken:
		return "asked by a PIN that was sent with the API token " + e.Actor
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
