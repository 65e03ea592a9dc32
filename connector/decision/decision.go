// Package decision is the record of one decision about a job: what is in the audit, with the input that
// it can be made again from, and the ids of decisions.
package decision

import (
	"time"

	"pullprint/policy/quota"
	"pullprint/trigger/graph"
)

// Decision is the audit record of one decision, as it stands in the stream
// PULLPRINT_DECISIONS and, without what the record says anyway, in the job
// record: see Record.Audit. It has enough input to be decided again and no name
// of a document or a person.
type Decision struct {
	// ID is the same however often the decision is published: task, point and,
	// where there can be several at that point, what tells them apart.
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Point   string    `json:"point"`
	Verdict string    `json:"verdict"`
	Reason  string    `json:"reason,omitempty"`
	Rule    string    `json:"rule,omitempty"`
	Text    string    `json:"text,omitempty"`
	Remedy  string    `json:"remedy,omitempty"`
	// IPP is the keyword for job-state-reasons that comes nearest to the reason.
	IPP string `json:"ipp,omitempty"`
	// Policy is the hash of the policy that decided.
	Policy string `json:"policy"`
	// Error says why a rule could not be evaluated.
	Error string `json:"error,omitempty"`

	graph.Ref
	Task  string `json:"task,omitempty"`
	Queue string `json:"queue,omitempty"`
	// Owner is the Entra object id of the job's owner.
	Owner string `json:"owner,omitempty"`
	// Device is where the job was to be released.
	Device string `json:"device,omitempty"`
	// Actor is who asked, when it was not the owner by a badge of their own: the
	// Entra object id of a delegate, or the name of an API token.
	Actor string `json:"actor,omitempty"`
	// Asked is what asked for the decision. Empty when stored by a version that
	// did not say.
	Asked Origin `json:"asked,omitempty"`
	// By is the instance that decided.
	By    string `json:"by"`
	Input Input  `json:"input"`
	// Set is what rules rewrote of the job's settings, SetBy their names.
	Set   *Settings `json:"set,omitempty"`
	SetBy string    `json:"set_by,omitempty"`
	// Shadow is what a policy in shadow would have decided.
	Shadow *Shadow `json:"shadow,omitempty"`
	// Unknown is what was out of reach when it was needed.
	Unknown []Unknown `json:"unknown,omitempty"`
	// Cost is what the job costs, in units, and Accounts are the keys of those that pay.
	Cost     quota.Amount `json:"cost,omitzero"`
	Accounts []string     `json:"accounts,omitempty"`
	// Variant is the least change with which a job refused for its cost would be
	// paid for.
	Variant *Settings `json:"variant,omitempty"`
	// Answer is what Graph said; nil for a decision that needs no call.
	Answer *Answer `json:"answer,omitempty"`
}

// Origin is what asked for a decision.
type Origin string

// What can ask for a decision.
const (
	AskedByArrival Origin = "arrival" // the job came
	AskedByBadge   Origin = "badge"   // a badge was shown at the reader of the device
	// AskedByPIN is a person's name and PIN, typed at the reader of the device.
	AskedByPIN     Origin = "pin"
	AskedByStation Origin = "station" // its owner, or whom they let, chose at a station
	AskedByToken   Origin = "token"   // whoever has the API token that Actor names
	// AskedByBadgeToken is a badge's number that came with the API token that Actor names,
	// AskedByPINToken a person's name and PIN.
	AskedByBadgeToken Origin = "badge-token"
	AskedByPINToken   Origin = "pin-token"
	// AskedBySignIn is a person who signed in with Entra: Actor, or without one the owner.
	AskedBySignIn Origin = "sign-in"
	// AskedByPhone is its owner, or whom they let, signed in with Entra on a phone at the device,
	// AskedByRemote its owner, signed in anywhere.
	AskedByPhone   Origin = "phone"
	AskedByRemote  Origin = "remote"
	AskedByErasure Origin = "erasure" // a person's data was erased
	AskedBySweep   Origin = "sweep"   // the hold ended
)

// Settings are what rules rewrote, in the words of Graph's
// printJobConfiguration; an empty field leaves the job's own. Its JSON is laid
// over the job's configuration.
type Settings struct {
	Copies        int    `json:"copies,omitempty"`
	ColorMode     string `json:"colorMode,omitempty"`
	DuplexMode    string `json:"duplexMode,omitempty"`
	MediaSize     string `json:"mediaSize,omitempty"`
	PagesPerSheet int    `json:"pagesPerSheet,omitempty"`
	Quality       string `json:"quality,omitempty"`
}

// Shadow is a decision that was not taken.
type Shadow struct {
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Text    string `json:"text,omitempty"`
	Remedy  string `json:"remedy,omitempty"`
	Error   string `json:"error,omitempty"`
	// Policy is the hash of the policy in shadow.
	Policy string `json:"policy,omitempty"`
	// Cost is what the job would have cost.
	Cost quota.Amount `json:"cost,omitzero"`
}

// Unknown is a dependency that was out of reach, and the fail mode by which the
// job was decided for want of it.
type Unknown struct {
	Dependency string `json:"dependency"`
	Mode       string `json:"mode"`
}

// Pages is how long the documents of a job are.
type Pages struct {
	// Count is the number of pages; nothing when it is not known.
	Count int `json:"count"`
	// Estimated is true when it was worked out of the size.
	Estimated bool `json:"estimated,omitempty"`
	// Unknown says why the pages could not be counted.
	Unknown string `json:"unknown,omitempty"`
}

// Range is a range of pages to print, both ends included.
type Range struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Account is what was on an account that pays.
type Account struct {
	Key      string       `json:"key"`
	Limit    quota.Amount `json:"limit"`
	Spent    quota.Amount `json:"spent"`
	Reserved quota.Amount `json:"reserved"`
	Left     quota.Amount `json:"left"`
	// Renews is when its next period begins; zero in decisions of earlier versions.
	Renews time.Time `json:"renews,omitzero"`
}

// Input is what the policy saw.
type Input struct {
	Mode   string `json:"mode"`
	Copies int    `json:"copies,omitempty"`
	// CopiesUnsaid is true when the job did not say it: Copies is what its printer makes then.
	CopiesUnsaid bool `json:"copies_unsaid,omitempty"`
	Color        bool `json:"color,omitempty"`
	Duplex       bool `json:"duplex,omitempty"`
	// OneSided is true when its printer prints on one side only.
	OneSided  bool   `json:"one_sided,omitempty"`
	MediaSize string `json:"media_size,omitempty"`
	// ColorMode and Finishings are what its printer has to do besides, in the words of Graph; no rule sees
	// them.
	ColorMode   string    `json:"color_mode,omitempty"`
	Finishings  []string  `json:"finishings,omitempty"`
	ContentType string    `json:"content_type,omitempty"`
	Size        int64     `json:"size,omitempty"`
	Created     time.Time `json:"created,omitzero"`
	// Groups are those of the owner; nil when nothing looked at them.
	Groups []string `json:"groups,omitzero"`
	// GroupsAge is how old the groups were, in seconds, when the directory did not
	// answer.
	GroupsAge     int64     `json:"groups_age,omitempty"`
	Language      string    `json:"language,omitempty"`
	Pages         *Pages    `json:"pages,omitempty"`
	PagesPerSheet int       `json:"pages_per_sheet,omitempty"`
	Ranges        []Range   `json:"ranges,omitempty"`
	Balances      []Account `json:"balances,omitempty"`
	// Missing is what was out of reach, needed or not.
	Missing []string `json:"missing,omitempty"`
}

// Answer is how the effect of a decision ended.
type Answer struct {
	Operation string `json:"operation"`
	// Outcome is the state the job came to, a job.State.
	Outcome string `json:"outcome"`
	// ReadBack is true when the outcome was read from the job because the
	// answer to the call was lost, refused or never seen.
	ReadBack bool `json:"read_back,omitempty"`
	// Presumed is true when Graph knew nothing of the job any more: the effect may
	// have happened, and counts as if it had.
	Presumed bool      `json:"presumed,omitempty"`
	At       time.Time `json:"at"`
}
