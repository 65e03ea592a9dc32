package inflight

import (
	"sync"
	"sync/atomic"
	"time"
)

// note says which instance works on a job, and how many instances died while they did.
type note struct {
	By      string    `json:"by,omitempty"` // instance; empty: nobody works on it now
	Since   time.Time `json:"since"`
	Crashes int       `json:"crashes,omitempty"`
	// Waiting says that the job only waits for Graph or the store: a death meanwhile does
	// not count.
	Waiting bool `json:"waiting,omitempty"`
	// Step is how often the work has gone on after a wait, counted from 1; 0 when that
	// is not known. Died is that of the newest death that counted.
	Step int `json:"step,omitempty"`
	Died int `json:"died,omitempty"`
}

// countDeath counts the death of the instance that made the note. A job that kills the process
// does so at the same step again; a death at another step had another cause at least once.
func (n *note) countDeath() {
	if n.Died == 0 || n.Step == 0 || n.Died == n.Step {
		n.Crashes++
	}
	if n.Step != 0 {
		n.Died = n.Step
	}
}

// noted is a note of this process. Concurrent work on the same job shares it.
type noted struct {
	key   string
	since time.Time
	users int
	// shared is true once there was more than one user: its steps are then not comparable.
	shared atomic.Bool

	written  sync.Mutex // guards revision, waits, step and waiting, and puts the writes in order
	revision uint64
	waits    int  // calls of Graph and the store that are under way
	step     int  // as in note
	waiting  bool // what is noted
	crashes  int
	died     int  // as in note
	tracked  bool // waits are noted
	failed   bool
	unlock   func() // releases alone
}

// note is its stored form.
func (n *noted) note(by string, waiting bool) note {
	text := note{By: by, Since: n.since, Crashes: n.crashes, Waiting: waiting, Died: n.died}
	if n.tracked && !n.shared.Load() {
		text.Step = n.step + 1
	}
	return text
}
