// Package trigger is how the product hears from Universal Print: it keeps our
// task definition and the subscription on its tasks, and turns what Graph posts
// into events that can be trusted.
//
// A notification is unsigned and carries no authority. Verifier.Verify is the one
// place where it becomes an Event, in the webhook before it is stored and in the
// worker for each message of the stream, as any bridge may publish there.
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

// An Event says that a task of our definition waits. All ids match the grammar
// of graph.ValidID. Printer and Job are empty together when the notification
// named no job that we understand; then the task has to be read from Graph.
type Event struct {
	Subscription string
	Definition   string
	Task         string
	Printer      string
	Job          string
}

// Why a notification is not accepted. All but ErrNotReady are final for the
// state that the Verifier has; see Verifier.Refresh.
var (
	// ErrMalformed says that it isn't a notification of a task.
	ErrMalformed = errors.New("malformed notification")
	// ErrForged says that its clientState isn't the one of its subscription.
	ErrForged = errors.New("forged notification")
	// ErrForeign says that it is of another tenant or another definition.
	ErrForeign = errors.New("foreign notification")
	// ErrUnknownSubscription says that its subscription isn't one of ours.
	ErrUnknownSubscription = errors.New("unknown subscription")
	// ErrNotReady says that the Verifier has not read the state yet: ask again.
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

// State is the small shared store in which all replicas find the same
// definition and subscription.
type State interface {
	// Get reads a key: nil and revision 0 when it is absent.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// CompareAndSet stores value if the key is still at revision (0: absent) and
	// says whether it did. A ttl of 0 keeps it for ever. After an error the
	// value may have been stored all the same.
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
