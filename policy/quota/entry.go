package quota

import "time"

// What happened to an account, as Entry.Kind.
const (
	Reserved = "reserve"
	Settled  = "settle"
	Refunded = "refund"
	Voided   = "void"
	LimitSet = "set"
	Adjusted = "adjust"
)

// Entry is one thing that happened on an account. It names people by their ids
// only.
type Entry struct {
	Account string    `json:"account"`
	Seq     uint64    `json:"seq"`
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Job     string    `json:"job,omitempty"`
	Owner   string    `json:"owner,omitempty"`
	// Amount is what was reserved, spent, given back, set or adjusted.
	Amount Amount `json:"amount"`
	// Default is true of a set that took away the account's own limit.
	Default bool   `json:"default,omitempty"`
	By      string `json:"by,omitempty"`
	Why     string `json:"why,omitempty"`
	// Was is where the entry first was in the history, if a person was erased from it since.
	Was uint64 `json:"was,omitempty"`
}

// Note says who changed an account, why, and when.
type Note struct {
	By, Why string
	At      time.Time
}

// Refund is how much of what a job cost is given back.
type Refund struct {
	// Permille is the part, in thousandths.
	Permille int64
	// PerDay is how much an owner is given back within 24 hours; 0 is all.
	PerDay Amount
	Why    string
}
