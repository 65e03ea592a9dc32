package graph

import (
	"fmt"
	"sync/atomic"
	"time"
)

// silence records since when Graph has not answered as a working service does, and its first
// failure. A 500 does not count: a single broken job can cause it every time. Neither does a
// 429: Graph works, and asks to wait.
type silence struct {
	since atomic.Pointer[failure]
	// broken is the first of the 500s since when every answer has been one.
	broken atomic.Pointer[failure]
}

// brokenFor is how long every answer has to be a 500 before Graph counts as down: the sweep
// lists the tasks of all jobs each minute, which a single broken job does not affect.
const brokenFor = 2 * time.Minute

type failure struct {
	what string
	at   time.Time
}

func (s *silence) began(what string, at time.Time) {
	s.since.CompareAndSwap(nil, &failure{what, at})
}

// refused records a 500 to an operation that is about no single job or printer.
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

// Answers returns nil unless Graph could not be reached, or was unavailable, when it was last
// asked. The error is for people.
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
