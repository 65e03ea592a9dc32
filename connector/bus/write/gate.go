package write

import (
	"context"
	"sync"
)

// gate is a read-write lock whose waits end with a context. Writes enter it together;
// while it is locked, or somebody waits to lock it, no further ones do. Its zero value
// is open.
type gate struct {
	mu      sync.Mutex // guards what follows
	inside  int
	locked  bool
	waiting int           // who want to lock it
	changed chan struct{} // closed at the next change; nil when nobody waits for one
}

// enter waits until the gate is open. Who entered has to leave.
func (g *gate) enter(ctx context.Context) error {
	return g.wait(ctx, func() bool {
		if g.locked || g.waiting > 0 {
			return false
		}
		g.inside++
		return true
	})
}

// leave undoes enter.
func (g *gate) leave() { g.change(func() { g.inside-- }) }

// lock waits until everybody has left, and keeps others from entering. After an error the
// gate is as before.
func (g *gate) lock(ctx context.Context) error {
	g.change(func() { g.waiting++ })
	defer g.change(func() { g.waiting-- })
	return g.wait(ctx, func() bool {
		if g.locked || g.inside > 0 {
			return false
		}
		g.locked = true
		return true
	})
}

// unlock opens the gate.
func (g *gate) unlock() { g.change(func() { g.locked = false }) }

// change changes the gate and wakes who waits for it.
func (g *gate) change(do func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	do()
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// wait tries again with each change until try succeeds or ctx ends.
func (g *gate) wait(ctx context.Context, try func() bool) error {
	for {
		g.mu.Lock()
		if try() {
			g.mu.Unlock()
			return nil
		}
		if g.changed == nil {
			g.changed = make(chan struct{})
		}
		changed := g.changed
		g.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
