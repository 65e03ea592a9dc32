package webhook

import "sync"

// gate counts the requests under way, and can be shut: then no more enter, and shut tells when
// the last has left.
type gate struct {
	mu     sync.Mutex // guards all that follows
	n      int
	idle   chan struct{} // created by shut, closed once n is 0
	closed bool
}

// enter counts a request; it returns false once the gate is shut.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.idle != nil {
		return false
	}
	g.n++
	return true
}

// hold counts something else that the request does. Only a caller that has entered may call it.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n++
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	g.closeIfIdle()
}

// shut lets no more requests enter, and returns a channel that is closed when all have left.
func (g *gate) shut() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	g.closeIfIdle()
	return g.idle
}

func (g *gate) closeIfIdle() {
	if g.n == 0 && g.idle != nil && !g.closed {
		g.closed = true
		close(g.idle)
	}
}
