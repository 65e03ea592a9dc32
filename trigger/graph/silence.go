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
}

type failure struct {
	what string
	at   time.Time
}

func (s *silence) began(what string, at time.Time) {
	s.since.CompareAndSwap(nil, &failure{what, at})
}

func (s *silence) ended() {
	if s.since.Load() != nil {
		s.since.Store(nil)
	}
}

// Answers is nil unless Graph was asked, could not be reached or was unavailable, and
// has not answered since. The error is for people.
func (c *Client) Answers() error {
	f := c.silence.since.Load()
	if f == nil {
		return nil
	}
	return fmt.Errorf("%s, for %s now; jobs stay held, and go on by themselves once it answers",
		f.what, max(0, time.Since(f.at).Truncate(time.Second)))
}
