// Package clock compares this machine's clock with Graph's. Either may be wrong: nothing that
// can't be undone is decided by one of them alone.
package clock

import (
	"math"
	"time"
)

// Source tells the time at Graph; *graph.Client is one.
type Source interface {
	// Now is the time at Graph, as far as is known: this machine's until Graph has told it.
	Now() time.Time
	// Heard reports whether Graph has told its time.
	Heard() bool
}

// Clock compares times with this machine's clock and with Graph's.
type Clock struct {
	graph Source
}

// New returns the Clock of a Graph client.
func New(graph Source) Clock { return Clock{graph} }

// AtGraph is the time at Graph, as far as its client knows.
func (c Clock) AtGraph() time.Time { return c.graph.Now() }

// Heard reports whether Graph has told its time, as far as its client knows. A machine may come
// up with a wrong clock before it reaches Graph.
func (c Clock) Heard() bool { return c.graph.Heard() }

// Earlier is the time to use for what can't be undone: the earlier of this machine's clock
// and Graph's.
func (c Clock) Earlier() time.Time {
	now := time.Now()
	if there := c.AtGraph(); there.Before(now) {
		return there
	}
	return now
}

// MaxSkew is by how much the clocks of replicas and of Graph may differ before one of them
// counts as wrong. NTP keeps them within a second; the rest is for a machine whose NTP has
// failed and that nobody has looked at yet.
const MaxSkew = 5 * time.Minute

// StoreSkew is by how much the clocks of an instance and of the store may differ for their
// times to be compared. The embedded store has the clock of its instance, so it matters for
// an external NATS only.
const StoreSkew = time.Minute

// Since is how long ago something was stored: the shorter of the ages by this machine's
// clock and by Graph's, as either may have jumped. A time that is ahead of both by more than
// MaxSkew was stored by a wrong clock. It counts as long ago; otherwise callers would wait
// for as long as that clock was ahead.
func (c Clock) Since(at time.Time) time.Duration {
	age := time.Duration(math.MaxInt64)
	for _, a := range []time.Duration{time.Since(at), c.AtGraph().Sub(at)} {
		if a > -MaxSkew {
			age = min(age, a)
		}
	}
	return age
}
