package admin

import (
	"net/http"
	"sync"
	"time"

	"pullprint/connector/access"
)

// How many requests of one token may run at once, so that one token can't use up all slots.
// A reader shows one badge at a time; a program with another token may act for all readers.
const (
	readerActs = 16
	tokenActs  = maxActs / 2
)

// shares counts the requests in hand of each token.
type shares struct {
	mu     sync.Mutex
	inHand map[string]int // by name
}

// take counts a request until it is freed, or returns a problem if its token has too many.
func (s *shares) take(c access.Caller) (free func(), p *Problem) {
	name, most := "token "+c.Name, tokenActs
	if c.Device != "" {
		name, most = "reader "+c.Device, readerActs
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inHand[name] >= most {
		p = failure(http.StatusTooManyRequests, "too-many-at-once", "Too many requests of this token at once",
			"Wait for the answers of those before, or try again in a second.")
		p.retryAfter = time.Second
		return nil, p
	}
	if s.inHand == nil {
		s.inHand = map[string]int{}
	}
	s.inHand[name]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.inHand[name]--; s.inHand[name] == 0 {
			delete(s.inHand, name)
		}
	}, nil
}

// busy is the answer when all slots are taken.
func busy() *Problem {
	p := failure(http.StatusServiceUnavailable, "busy", "Too many requests at once", "Try again in a second.")
	p.retryAfter = time.Second
	return p
}
