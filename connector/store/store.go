// Package store holds the values that the durable store and the parts of the connector
// exchange: a task and what becomes of it, records, taps, the state of a stream, and the
// errors that callers tell apart; and the loop that changes a value by compare-and-set. It
// imports nothing of this module but leaves, so that a part needs to know neither NATS nor
// the package that speaks to it.
package store

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrUnavailable: the store did not answer, for example because most of its
	// servers are down. It may work again in a moment.
	ErrUnavailable = errors.New("the store does not answer")
	// ErrDamaged: what is stored can't be read, or not all of it.
	ErrDamaged = errors.New("the store is damaged")
	// ErrUnheard: nobody is subscribed to the subject of notices.
	ErrUnheard = errors.New("nobody listens on pullprint.notices")
)

// KV is the part of a durable key-value bucket that most need; *stored.KV is one. A key that is absent has
// revision 0. CompareAndSet with revision 0 creates; with a ttl of 0 the value does not expire; swapped
// is false when the revision is another by now; an error means that the outcome is unknown and the
// caller has to look again.
type KV interface {
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	CompareAndSet(
		ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
	) (newRevision uint64, swapped bool, err error)
}

// AckWait is how long the stream waits for the acknowledgement of a task before it
// delivers the task again. While a task is being handled its time is extended before
// that. 30 s is the server's own default.
const AckWait = 30 * time.Second

// Delivery is a task to handle. It may have been delivered before: Delivered
// counts from 1, and an acknowledgement can be lost, so a task that is done can
// come again.
type Delivery struct {
	Body       []byte // one Graph changeNotification, as untrusted as it came
	Subject    string
	Definition string // last token of the subject
	Delivered  int
	Stored     time.Time
	Sequence   uint64
}

// Disposition is what is to become of a delivery. The zero value is Done.
type Disposition struct {
	// Redeliver asks for another delivery, After that time or a little later.
	Redeliver bool
	After     time.Duration
}

// Done is the disposition of a task that is never to be delivered again.
func Done() Disposition { return Disposition{} }

// Retry is the disposition of a task to be delivered again, after that time or a
// little later.
func Retry(after time.Duration) Disposition { return Disposition{Redeliver: true, After: after} }

// Kind names a stream of records.
type Kind string

// The kinds of records.
const (
	Decisions Kind = "decisions"
	Audit     Kind = "audit"
	Ledger    Kind = "ledger"
	Dead      Kind = "dead"
	Notices   Kind = "notices"
	// Badges are those that are stored, with what belongs to them: the newest record of each key, and the
	// key as its subject.
	Badges Kind = "badges"
)

// Record is a message of a stream of records.
type Record struct {
	Sequence uint64
	Subject  string
	Stored   time.Time
	Body     []byte
}

// TapRequest is a badge shown over NATS.
type TapRequest struct {
	// Device is the last token of the subject.
	Device string
	// Authorization is the header of that name, as in HTTP; empty where messages have
	// none.
	Authorization string
	Body          []byte
}

// TapReply is the answer to a TapRequest. Status is the one that HTTP would have; it
// goes into the header Status.
type TapReply struct {
	Status int
	Body   []byte
}

// StreamState is the state of one of our streams, or of the stream below a bucket.
type StreamState struct {
	Name     string `json:"name"`
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
	// MaxBytes is -1 without a limit.
	MaxBytes int64  `json:"max_bytes"`
	First    uint64 `json:"first_sequence"`
	Last     uint64 `json:"last_sequence"`
	// Replicas is how many servers should hold it; Leader is empty while none leads.
	Replicas int    `json:"replicas"`
	Leader   string `json:"leader,omitempty"`
	// Away are the replicas that are offline or behind.
	Away []string `json:"away,omitempty"`
	// Pending and Unacked are the messages that the workers have not asked for, and
	// not acknowledged yet; of the stream of tasks only.
	Pending uint64 `json:"pending,omitempty"`
	Unacked int    `json:"unacked,omitempty"`
}
