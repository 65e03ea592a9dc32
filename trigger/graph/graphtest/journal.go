package graphtest

import (
	"maps"
	"slices"
	"sync"
)

// journal counts what happened and records what must never happen.
type journal struct {
	mu         sync.Mutex
	counts     map[string]int
	violations []string
}

func (j *journal) init() { j.counts = make(map[string]int) }

func (j *journal) count(what string) {
	j.mu.Lock()
	j.counts[what]++
	j.mu.Unlock()
}

func (j *journal) violation(what string) {
	j.mu.Lock()
	j.violations = append(j.violations, what)
	j.mu.Unlock()
}

func (j *journal) get(what string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.counts[what]
}

// Calls returns how often an operation (one of the Op names) was called, whatever the result. With " faulted"
// or " lost" appended it counts those with a random fault before and after they were applied. Notifications
// count as "notifications.made", ".lost", ".posted" (each that reached its receiver), ".retried" and
// ".dropped".
func (s *Sim) Calls(op string) int { return s.log.get(op) }

// AllCalls returns all counts.
func (s *Sim) AllCalls() map[string]int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return maps.Clone(s.log.counts)
}

// ForgetCalls sets every count back to 0.
func (s *Sim) ForgetCalls() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	clear(s.log.counts)
}

// Violations returns what a client did that it must never do, such as sending its token to the document host.
func (s *Sim) Violations() []string {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return slices.Clone(s.log.violations)
}
