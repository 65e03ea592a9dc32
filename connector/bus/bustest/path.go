package bustest

import (
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// Path is the way of one process to the address of another, as a TCP proxy: what is sent can be held
// back, in each direction of its own, and slowed. What was held back arrives once the gate is open
// again, as TCP would send it again, and so does the end of a connection.
type Path struct {
	There, Back Gate

	ln    net.Listener
	to    string
	delay atomic.Int64
	ended chan struct{}
}

// NewPath begins to carry connections to an address, until the end of the test.
func NewPath(tb testing.TB, to string) *Path {
	tb.Helper()
	ln, err := net.Listen("tcp", FreeAddress(tb))
	if err != nil {
		tb.Fatal(err)
	}
	p := &Path{ln: ln, to: to, ended: make(chan struct{})}
	tb.Cleanup(func() {
		close(p.ended)
		_ = ln.Close()
	})
	go p.accept()
	return p
}

// Address is where the path begins.
func (p *Path) Address() string { return p.ln.Addr().String() }

// Shut holds everything back, in both directions.
func (p *Path) Shut() {
	p.There.Shut()
	p.Back.Shut()
}

// Open lets everything through.
func (p *Path) Open() {
	p.There.Open()
	p.Back.Open()
}

// Delay is how much later everything arrives.
func (p *Path) Delay(d time.Duration) { p.delay.Store(int64(d)) }

func (p *Path) accept() {
	for {
		near, err := p.ln.Accept()
		if err != nil {
			return
		}
		go p.carry(near)
	}
}

func (p *Path) carry(near net.Conn) {
	defer near.Close()
	if !p.There.Pass(p.ended) {
		return
	}
	far, err := net.DialTimeout("tcp", p.to, time.Second)
	if err != nil {
		return
	}
	defer far.Close()
	over := make(chan struct{}, 2)
	go p.copy(far, near, &p.There, over)
	go p.copy(near, far, &p.Back, over)
	select {
	case <-over: // NATS has no use for half a connection
	case <-p.ended:
	}
}

// copy ends when the connection that it reads from does, once that could be heard of.
func (p *Path) copy(to, from net.Conn, gate *Gate, over chan<- struct{}) {
	defer func() { over <- struct{}{} }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if d := time.Duration(p.delay.Load()); d > 0 {
			<-time.After(d)
		}
		if !gate.Pass(p.ended) {
			return
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}
