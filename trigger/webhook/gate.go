package webhook

import "sync"

// gate counts what is in hand, until it is shut.
type gate struct {
	mu     sync.Mutex
	n      int
	idle   chan struct{} // made by shut, closed when n is 0
	closed bool
}

// enter reports false once the gate is shut.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.idle != nil {
		return false
	}
	g.n++
	return true
}

// hold counts once more; only who has entered may call it.
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

// shut lets nobody enter any more; the channel is closed when all have left.
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
