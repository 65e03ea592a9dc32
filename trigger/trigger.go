// Package trigger receives print tasks from Universal Print: it keeps our task definition and
// the subscription to its tasks in Graph, and makes trusted events of what Graph posts.
//
// A notification is unsigned and carries no authority. Verifier.Verify is the only place where
// it becomes an Event. It is called twice on the way of a notification, each time on bytes that
// anybody may have written, and each place parses them once: by the webhook before it stores a
// POST, so that nobody can fill the stream, and by whoever reads the stream, because any bridge
// may publish there. Nothing that the webhook found out travels with the message.
package trigger

import (
	"context"
	"errors"
	"time"
)

// Config is the section `trigger` of the configuration.
type Config struct {
	// Definition is the display name of our printTaskDefinition.
	Definition string `yaml:"definition"`
}

// DefaultDefinition is the display name when the configuration names none.
const DefaultDefinition = "pullprint"

// An Event says that a task of our definition waits. All ids have the form of graph.ValidID.
// Printer and Job are both empty when the notification named no job that we understand; then
// the task has to be read from Graph.
type Event struct {
	Subscription string
	Definition   string
	Task         string
	Printer      string
	Job          string
}

// Why a notification is not accepted. All but ErrNotReady are final unless State has changed
// since the Verifier read it; see Verifier.Refresh.
var (
	// ErrMalformed says that it isn't a notification of a task.
	ErrMalformed = errors.New("malformed notification")
	// ErrForged says that its clientState isn't the one of its subscription.
	ErrForged = errors.New("forged notification")
	// ErrForeign says that it is for another tenant or another definition.
	ErrForeign = errors.New("foreign notification")
	// ErrUnknownSubscription says that its subscription isn't one of ours.
	ErrUnknownSubscription = errors.New("unknown subscription")
	// ErrNotReady says that the Verifier has not read State yet: try again later.
	ErrNotReady = errors.New("trigger state not read yet")
)

// Results are the values that Result returns for errors of this package.
var Results = []string{"malformed", "forged", "foreign", "unknown-subscription", "failed"}

// Result is the metric label for an error of Verifier.Verify or ParseNotification;
// one that is not of this package is "failed".
func Result(err error) string {
	switch {
	case errors.Is(err, ErrMalformed):
		return "malformed"
	case errors.Is(err, ErrForged):
		return "forged"
	case errors.Is(err, ErrForeign):
		return "foreign"
	case errors.Is(err, ErrUnknownSubscription):
		return "unknown-subscription"
	}
	return "failed"
}

// State is the small store in which all replicas share one definition and subscription.
type State interface {
	// Get reads a key; an absent one has the value nil and revision 0.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// CompareAndSet stores value if the key is still at revision (0: absent) and reports
	// whether it did. With a ttl of 0 it does not expire. After an error the value may have
	// been stored all the same.
	CompareAndSet(
		ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
	) (newRevision uint64, swapped bool, err error)
	// Watch calls fn for every key that matches filter, as it is now and then at
	// each change (value nil: deleted), and caughtUp once after the first. It
	// blocks until ctx ends or the watch is lost.
	Watch(ctx context.Context, filter string, fn func(key string, value []byte, revision uint64), caughtUp func()) error
}

// The keys of this package in State. The values are JSON; keySubscription and
// keySweep hold secrets.
const (
	keyFilter       = "trigger.*"
	keyDefinition   = "trigger.definition"
	keySubscription = "trigger.subscription"
	keySweep        = "trigger.sweep"
	keyLifecycle    = "trigger.lifecycle"
)
