package own

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// maxCounted is how many people are counted at once, at 50 bytes and a time for each request. When it is
// full and everybody has asked lately, nobody else may: more ask than work at one site.
const maxCounted = 10_000

// limit bounds how often one person may ask for something that is costly. It counts in this process. The
// zero value of counted is ready.
type limit struct {
	times int
	in    time.Duration

	mu      sync.Mutex // guards counted
	counted map[string][]time.Time
}

// allows counts a request of a person, and reports whether it may be answered.
func (l *limit) allows(person string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := func(at time.Time) bool { return now.Sub(at) >= l.in }
	if l.counted == nil {
		l.counted = map[string][]time.Time{}
	}
	if len(l.counted) >= maxCounted {
		maps.DeleteFunc(l.counted, func(_ string, asked []time.Time) bool { return old(asked[len(asked)-1]) })
	}
	asked := slices.DeleteFunc(l.counted[person], old)
	if len(asked) >= l.times || len(asked) == 0 && len(l.counted) >= maxCounted {
		return false
	}
	l.counted[person] = append(asked, now)
	return true
}
