package listen

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// place is a server with room for a few connections.
type place struct {
	*testing.T
	addr string
	// atWork tells of each request that the handler has, which it answers by finish.
	atWork chan string
	finish chan int
}

// patient are limits whose time no test waits for.
func patient(conns int) Limits {
	const long = 20 * time.Second
	return Limits{Conns: conns, Header: long, Body: long, Answer: long, Idle: long, HeaderBytes: 4 << 10}
}

func open(t *testing.T, conns int) *place {
	t.Helper()
	p := &place{T: t, atWork: make(chan string, 16), finish: make(chan int, 16)}
	srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/ok":
			return
		case "/long": // more than the buffers of the network take
			p.atWork <- "long"
			_, _ = rw.Write(make([]byte, 64<<20))
			return
		}
		if _, err := io.ReadAll(req.Body); err != nil {
			return
		}
		p.atWork <- req.URL.Path
		rw.WriteHeader(<-p.finish)
	})}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = ln.Addr().String()
	bound := Bound(srv, ln, patient(conns))
	served := make(chan error, 1)
	go func() { served <- srv.Serve(bound) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("served: %v", err)
		}
	})
	return p
}

func (p *place) dial(text string) net.Conn {
	p.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		p.Fatal(err)
	}
	return c
}

// status is that of the answer on c.
func status(c net.Conn) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return res.StatusCode, nil
}

const get = "GET /ok HTTP/1.1\r\nHost: x\r\n\r\n"

// Clients that keep the server waiting give way to those that come, in the order in
// which they began to; a request that is worked on goes to its end.
func TestRoom(t *testing.T) {
	for name, mood := range map[string]string{
		"say nothing": "", "slow header": "GET / HTTP/1.1\r\n",
		"slow body":            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
		"idle after an answer": get,
	} {
		p := open(t, 3)
		busy := p.dial("POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
		<-p.atWork
		var slow []net.Conn
		for range 6 {
			slow = append(slow, p.dial(mood))
		}
		for range 2 {
			if code, err := status(p.dial(get)); code != http.StatusOK {
				t.Errorf("%s: a newcomer: %d %v", name, code, err)
			}
		}
		_ = slow[0].SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, slow[0]); errors.Is(err, errTimeout(err)) {
			t.Errorf("%s: the first of them is still open", name)
		}
		p.finish <- http.StatusOK
		if code, err := status(busy); code != http.StatusOK {
			t.Errorf("%s: what was worked on: %d %v", name, code, err)
		}
	}
}

// errTimeout is err when it is a time-out.
func errTimeout(err error) error {
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		return err
	}
	return errors.New("none")
}

// When every connection is worked on, the next waits for its place.
func TestFull(t *testing.T) {
	p := open(t, 2)
	var busy []net.Conn
	for range 2 {
		busy = append(busy, p.dial("POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"))
		<-p.atWork
	}
	next := p.dial(get)
	p.finish <- http.StatusOK
	if code, err := status(next); code != http.StatusOK {
		t.Errorf("the next: %d %v", code, err)
	}
	p.finish <- http.StatusOK
	answered := 0
	for _, c := range busy {
		if code, _ := status(c); code == http.StatusOK {
			answered++
		}
	}
	if answered != 2 {
		t.Errorf("%d of 2 were answered", answered)
	}
}

// Whoever does not read an answer gives way too.
func TestUnreadAnswers(t *testing.T) {
	p := open(t, 2)
	for range 2 {
		p.dial("GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
		<-p.atWork
	}
	if code, err := status(p.dial(get)); code != http.StatusOK {
		t.Errorf("%d %v", code, err)
	}
}

// A refusal ends its connection; an answer, and one that asks to come again, don't.
func TestRefusalCloses(t *testing.T) {
	p := open(t, 2)
	for code, closes := range map[int]bool{200: false, 303: false, 400: true, 401: true, 429: true, 503: false} {
		c := p.dial("POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
		<-p.atWork
		p.finish <- code
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.Close != closes {
			t.Errorf("%d: %v, %v", code, res, err)
			continue
		}
		_ = res.Body.Close()
		_ = c.Close()
	}
}

// The time of a request begins with its first byte.
func TestRequestBeginsWithFirstByte(t *testing.T) {
	began := make(chan time.Time, 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { began <- Began(req) })}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bound := Bound(srv, ln, patient(Share(8, 4)))
	go func() { _ = srv.Serve(bound) }()
	defer srv.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := time.Now()
	for part := range strings.SplitSeq("G|ET / HTTP/1.1\r\n|Host: x\r\n\r\n", "|") {
		fmt.Fprint(c, part)
		<-time.After(20 * time.Millisecond)
	}
	if took := (<-began).Sub(start); took > 15*time.Millisecond {
		t.Errorf("began %s after its first byte", took)
	}
}
