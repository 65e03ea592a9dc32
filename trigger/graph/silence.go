package graph

import (
	"fmt"
	"sync/atomic"
	"time"
)

// silence is since when Graph has not answered like one that is there, and what the
// first of its failures was. A 500 is none: one sick job answers so for ever. Nor is a
// 429: Graph is there, and we wait.
type silence struct {
	since atomic.Pointer[failure]
	// broken is since when every answer was a 500.
	broken atomic.Pointer[failure]
}

// brokenFor is how long every answer has to be a 500 before Graph counts as down: the
// sweep asks each minute for the tasks of all jobs, which no single sick job spoils.
const brokenFor = 2 * time.Minute

type failure struct {
	what string
	at   time.Time
}

func (s *silence) began(what string, at time.Time) {
	s.since.CompareAndSwap(nil, &failure{what, at})
}

// refused notes a 500 to an operation. What is asked about one job or printer does not
// count: a sick one answers so for ever.
func (s *silence) refused(op operation, at time.Time) {
	if op == listTasks || op == listDefinitions {
		s.broken.CompareAndSwap(nil, &failure{"it answers everything with status 500", at})
	}
}

func (s *silence) ended() {
	if s.broken.Load() != nil {
		s.broken.Store(nil)
	}
	if s.since.Load() != nil {
		s.since.Store(nil)
	}
}

// Answers is nil unless Graph was asked, could not be reached or was unavailable, and
// has not answered since. The error is for people.
func (c *Client) Answers() error {
	f := c.silence.since.Load()
	if f == nil {
		if f = c.silence.broken.Load(); f == nil || time.Since(f.at) < brokenFor {
			return nil
		}
	}
	return fmt.Errorf("%s, for %s now; jobs stay held, and go on by themselves once it answers",
		f.what, max(0, time.Since(f.at).Truncate(time.Second)))
}
