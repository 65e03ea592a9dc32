package listen

import (
	"container/list"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// unread is how long a client may take to read an answer before its connection may be
// closed for another: a network that loses packets makes up for it sooner. retry is how
// often a full listener looks for such a connection.
const (
	unread = 2 * time.Second
	retry  = 100 * time.Millisecond
)

// sending is for how long a connection is left alone after its last request was worked
// on: with HTTP/2 the answer is on its way still when the handler has returned.
const sending = 100 * time.Millisecond

// capped is a listener with a number of connections. It accepts one more than that: the
// one that waits for its place.
type capped struct {
	net.Listener
	most   int
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	open    map[*conn]struct{}
	waiting *list.List    // of *conn, that which waits for longest first
	freed   chan struct{} // takes one value after a place became free
}

func newCapped(ln net.Listener, most int) *capped {
	return &capped{
		Listener: ln, most: most, closed: make(chan struct{}), open: map[*conn]struct{}{},
		waiting: list.New(), freed: make(chan struct{}, 1),
	}
}

// Accept implements net.Listener.
func (l *capped) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, of: l}
	for !l.admit(c) {
		again := time.NewTimer(retry)
		select {
		case <-l.closed:
			again.Stop()
			_ = raw.Close() // nothing was said on it
			return nil, net.ErrClosed
		case <-l.freed:
		case <-again.C:
		}
		again.Stop()
	}
	return c, nil
}

// Close implements net.Listener.
func (l *capped) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// admit takes c in if there is room, or if a connection can be closed for it.
func (l *capped) admit(c *conn) bool {
	l.mu.Lock()
	var victim *conn
	if len(l.open) >= l.most {
		if victim = l.victim(time.Now()); victim == nil {
			l.mu.Unlock()
			return false
		}
		l.forget(victim)
	}
	l.open[c] = struct{}{}
	c.place = l.waiting.PushBack(c)
	l.mu.Unlock()
	if victim != nil {
		_ = victim.Conn.Close() // its server sees it and ends
	}
	return true
}

// victim is the connection whose client keeps us waiting for longest; nil when all are
// worked on. mu is held.
func (l *capped) victim(now time.Time) *conn {
	for e := l.waiting.Front(); e != nil; e = e.Next() {
		if c, ok := e.Value.(*conn); ok && now.After(c.sent) {
			return c
		}
	}
	var slowest *conn
	since := now.Add(-unread).UnixMilli()
	for c := range l.open {
		if at := c.answering.Load(); at != 0 && at <= since {
			slowest, since = c, at
		}
	}
	return slowest
}

// forget takes c out. mu is held.
func (l *capped) forget(c *conn) {
	delete(l.open, c)
	if c.place != nil {
		l.waiting.Remove(c.place)
		c.place = nil
	}
}

// conn is a connection of a capped listener.
type conn struct {
	net.Conn
	of *capped
	// began is when the first byte of a request came, in Unix milliseconds; 0 between
	// requests. answering is when the first byte of an answer was written; 0 before it,
	// and when it is complete.
	began, answering atomic.Int64

	// current is the request of HTTP/1 that is received, worked on or answered.
	current atomic.Pointer[work]

	// place is where c waits among those whose clients keep us waiting; nil while
	// requests are worked on. sent is when the last answer is surely sent. All are
	// guarded by of.mu.
	place    *list.Element
	requests int
	sent     time.Time
}

// working counts the requests of c that are worked on; after the last, c is left alone
// for rest.
func (c *conn) working(by int, rest time.Duration) {
	l := c.of
	l.mu.Lock()
	defer l.mu.Unlock()
	c.requests += by
	if c.requests == max(by, 0) { // the first began or the last ended
		c.answering.Store(0)
	}
	if _, open := l.open[c]; !open {
		return
	}
	switch {
	case c.requests > 0 && c.place != nil:
		l.waiting.Remove(c.place)
		c.place = nil
	case c.requests == 0 && c.place == nil:
		c.place, c.sent = l.waiting.PushBack(c), time.Now().Add(rest)
		l.free()
	}
}

// free wakes who waits for a place. mu is held.
func (l *capped) free() {
	select {
	case l.freed <- struct{}{}:
	default:
	}
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.began.Load() == 0 {
		c.began.CompareAndSwap(0, time.Now().UnixMilli())
	}
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if c.answering.Load() == 0 {
		c.answering.CompareAndSwap(0, time.Now().UnixMilli())
	}
	return c.Conn.Write(p)
}

// CloseWrite lets the server end an answer before it closes, as it does with a bare
// TCP connection.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.of.mu.Lock()
	c.of.forget(c)
	c.of.free()
	c.of.mu.Unlock()
	return c.Conn.Close()
}
