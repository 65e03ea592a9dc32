package cache

import "sync"

// Shares counts what runs at once for each of those who ask, so that none of them can use up what is there
// for all. The zero value is ready to use, by many goroutines at once.
type Shares struct {
	mu      sync.Mutex     // guards running
	running map[string]int // of those for whom something runs
}

// Take counts one more for key until free is called, unless most run already.
func (s *Shares) Take(key string, most int) (free func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[key] >= most {
		return nil, false
	}
	if s.running == nil {
		s.running = map[string]int{}
	}
	s.running[key]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.running[key]--; s.running[key] == 0 {
			delete(s.running, key)
		}
	}, true
}
