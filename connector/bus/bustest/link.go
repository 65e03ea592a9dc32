package bustest

import (
	"errors"
	"io"
	"math"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Server is a NATS server in this process that several buses share, also in virtual time.
type Server struct{ srv *server.Server }

// StartServer starts a server without sockets, until the end of the test. It does not sync
// what it stores: it outlives what is tested.
func StartServer(tb testing.TB) *Server {
	tb.Helper()
	srv, err := server.NewServer(&server.Options{
		ServerName: "shared", DontListen: true, NoLog: true, NoSigs: true, JetStream: true, StoreDir: TempDir(tb),
	})
	if err != nil {
		tb.Fatalf("make the shared server: %v", err)
	}
	srv.Start()
	tb.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
		// The client keeps timers for the next connection, which another test's virtual time must not
		// get. The collector empties a sync.Pool when it has run twice.
		runtime.GC()
		runtime.GC()
	})
	if !srv.ReadyForConnections(10 * time.Second) {
		tb.Fatal("the shared server is not ready")
	}
	return &Server{srv}
}

// Gate lets through while it is open.
type Gate struct {
	mu   sync.Mutex
	shut chan struct{} // nil while open
}

// Shut has those wait who come, until Open.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

// Open lets through whoever waits.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

func (g *Gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut != nil
}

// Pass waits until the gate is open, and reports false when done was closed before.
func (g *Gate) Pass(done <-chan struct{}) bool {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut == nil {
		return true
	}
	select {
	case <-shut:
		return true
	case <-done:
		return false
	}
}

// Link is the way of one process to a Server. What is sent while its gate is shut arrives
// once it is open again, and no connection is made meanwhile.
type Link struct {
	Gate

	server *Server
	mu     sync.Mutex
	dead   bool
	conns  []*linkConn
}

// Link makes a way to the server.
func (s *Server) Link() *Link { return &Link{server: s} }

// InProcessConn is what nats.InProcessServer asks for.
func (l *Link) InProcessConn() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead || l.isShut() {
		return nil, errors.New("the server can't be reached")
	}
	c, err := l.server.srv.InProcessConn()
	if err != nil {
		return nil, err
	}
	lc := &linkConn{Conn: c, link: l, done: make(chan struct{}), sent: newPipe(), got: newPipe()}
	go lc.send()
	go lc.receive()
	l.conns = append(l.conns, lc)
	return lc, nil
}

// Kill ends every connection, and lets no other be made, as the death of the process does.
// What was on its way is lost.
func (l *Link) Kill() {
	l.mu.Lock()
	l.dead = true
	conns := l.conns
	l.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

// linkConn keeps what is written until the gate is open. Neither side waits for the other
// with a lock of its own held: in virtual time that would be the end of all time.
type linkConn struct {
	net.Conn
	link      *Link
	done      chan struct{}
	once      sync.Once
	sent, got *pipe
}

func (c *linkConn) send() {
	for {
		b, err := c.sent.take(math.MaxInt)
		if err != nil || !c.link.Pass(c.done) {
			return
		}
		if _, err := c.Conn.Write(b); err != nil {
			return
		}
	}
}

func (c *linkConn) receive() {
	buf := make([]byte, 32<<10)
	for {
		n, err := c.Conn.Read(buf)
		c.got.put(buf[:n])
		if err != nil {
			c.got.close()
			return
		}
	}
}

func (c *linkConn) Read(p []byte) (int, error) {
	b, err := c.got.take(len(p))
	if err != nil || !c.link.Pass(c.done) {
		return 0, net.ErrClosed
	}
	return copy(p, b), nil
}

func (c *linkConn) Write(p []byte) (int, error) {
	select {
	case <-c.done:
		return 0, net.ErrClosed
	default:
		c.sent.put(p)
		return len(p), nil
	}
}

func (c *linkConn) Close() error {
	c.once.Do(func() {
		close(c.done)
		c.sent.close()
		c.got.close()
	})
	return c.Conn.Close()
}

// pipe holds bytes without bound.
type pipe struct {
	mu     sync.Mutex
	held   []byte
	closed bool
	more   chan struct{} // holds one when there is something to look at
}

func newPipe() *pipe { return &pipe{more: make(chan struct{}, 1)} }

func (p *pipe) put(b []byte) {
	p.mu.Lock()
	p.held = append(p.held, b...)
	p.mu.Unlock()
	p.tell()
}

func (p *pipe) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.tell()
}

func (p *pipe) tell() {
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// take waits for bytes and takes at most n.
func (p *pipe) take(n int) ([]byte, error) {
	for {
		p.mu.Lock()
		if have := min(n, len(p.held)); have > 0 {
			b := p.held[:have:have]
			p.held = p.held[have:]
			p.mu.Unlock()
			return b, nil
		}
		closed := p.closed
		p.mu.Unlock()
		if closed {
			p.tell() // for whoever else takes
			return nil, io.EOF
		}
		<-p.more
	}
}
