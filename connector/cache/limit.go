package cache

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// maxCounted is how many people are counted at once, at 50 bytes and a time for each request. When it is
// full and everybody has asked lately, nobody else may: more ask than work at one site.
const maxCounted = 10_000

// Limit bounds how often each person may ask for something that is costly: so many Times In a time. It
// counts in this process, and is safe for concurrent use.
type Limit struct {
	Times int
	In    time.Duration

	mu      sync.Mutex // guards counted
	counted map[string][]time.Time
}

// Allows counts a request of a person, and reports whether it may be answered. One that may not is not
// counted.
func (l *Limit) Allows(person string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := func(at time.Time) bool { return now.Sub(at) >= l.In }
	if l.counted == nil {
		l.counted = map[string][]time.Time{}
	}
	if len(l.counted) >= maxCounted {
		maps.DeleteFunc(l.counted, func(_ string, asked []time.Time) bool { return old(asked[len(asked)-1]) })
	}
	asked := slices.DeleteFunc(l.counted[person], old)
	if len(asked) >= l.Times || len(asked) == 0 && len(l.counted) >= maxCounted {
		return false
	}
	l.counted[person] = append(asked, now)
	return true
}
