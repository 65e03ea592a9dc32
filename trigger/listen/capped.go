package listen

import (
	"container/list"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// unread is how long a client may take to read an answer before its connection may be
	// closed for another. Networks recover from lost packets sooner.
	unread = 2 * time.Second
	// retry is how often a full listener looks for a connection to close.
	retry = 100 * time.Millisecond
	// sending is how long a connection can't be closed after its last request was processed:
	// with HTTP/2 the answer may still be on its way when the handler has returned.
	sending = 100 * time.Millisecond
)

// capped is a listener with a maximum of connections. It accepts one more than that, which
// waits until another is closed.
type capped struct {
	net.Listener
	most   int
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex // guards open, waiting, and the place, requests and sent of each conn
	open    map[*conn]struct{}
	waiting *list.List    // of *conn whose clients we wait for, the longest wait first
	freed   chan struct{} // holds a value after a connection became closable or was closed
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
			_ = raw.Close() // nothing was exchanged on it
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

// admit adds c if the maximum is not reached, or if a connection can be closed for it.
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
		_ = victim.Conn.Close() // its server notices and ends
	}
	return true
}

// victim returns the connection whose client has kept us waiting longest; nil if all requests
// are being processed. The caller holds mu.
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

// forget removes c. The caller holds mu.
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
	// began is when the first byte of a request arrived, in Unix milliseconds; 0 between
	// requests. answering is when the first byte of an answer was written; 0 before, and once
	// it is complete.
	began, answering atomic.Int64

	// current is the HTTP/1 request that is being received, processed or answered.
	current atomic.Pointer[work]

	// place is the position of c in of.waiting; nil while requests are being processed. sent is
	// when the last answer has certainly been sent. All three are guarded by of.mu.
	place    *list.Element
	requests int
	sent     time.Time
}

// working adds by to the requests of c that are being processed. After the last one, c is not
// closed for rest.
func (c *conn) working(by int, rest time.Duration) {
	l := c.of
	l.mu.Lock()
	defer l.mu.Unlock()
	c.requests += by
	if c.requests == max(by, 0) { // the first has begun or the last has ended
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

// free wakes a connection that waits in Accept. The caller holds mu.
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

// CloseWrite lets the server finish an answer before it closes the connection, as with a plain
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
