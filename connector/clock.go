package connector

import (
	"math"
	"time"
)

// clock judges times by this machine's clock and by Graph's, as either may be wrong.
type clock struct {
	graph Graph
}

// graphTime is the time at Graph, as far as its client knows.
func (c clock) graphTime() time.Time {
	if g, ok := c.graph.(interface{ Now() time.Time }); ok {
		return g.Now()
	}
	return time.Now()
}

// surely is the time by which what can't be undone is judged: the earlier of this
// machine's clock and Graph's, as either may be wrong.
func (c clock) surely() time.Time {
	now := time.Now()
	if there := c.graphTime(); there.Before(now) {
		return there
	}
	return now
}

// clocksDiffer is by how much the clocks of replicas differ at most, while they are
// looked after.
const clocksDiffer = 5 * time.Minute

// since is how long ago something was noted: the shorter of what this machine's clock
// and Graph's say, as either may have jumped. What lies ahead by both was noted by a
// clock that was wrong: it counts as long ago, or it would be waited out for as much
// as that clock was ahead.
func (c clock) since(at time.Time) time.Duration {
	age := time.Duration(math.MaxInt64)
	for _, a := range []time.Duration{time.Since(at), c.graphTime().Sub(at)} {
		if a > -clocksDiffer {
			age = min(age, a)
		}
	}
	return age
}
