// Package listen limits the resources that the clients of a listener can use: how many
// connections they hold, and how long the process waits for them.
//
// Any client that reaches the address can open connections and send nothing, send a header or
// a body byte by byte, or not read the answer. Each such connection holds a file descriptor,
// and a process without descriptors can't open a file of its store. So a listener has a
// maximum of connections, which leaves descriptors for the rest of the program. When it is
// reached, the connection that has kept the process waiting longest is closed for the new one.
// A request that was received completely is never interrupted for another.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Limits of the clients of one listener. All are required.
type Limits struct {
	// Conns is how many connections may be open at once: see Share.
	Conns int
	// Header, Body and Answer are how long a client may take to send the header, to send the
	// whole request, and after the header to have read the answer.
	Header, Body, Answer time.Duration
	// Idle is how long a connection may wait for its next request.
	Idle time.Duration
	// HeaderBytes is the maximum size of a header.
	HeaderBytes int
}

// streams is how many requests one HTTP/2 connection may carry at once: a browser needs a few.
// The default would let each connection carry 250.
const streams = 32

// descriptors is the limit that Share assumes if the system tells none, as it is on most.
const descriptors = 1024

// Share returns how many connections a listener may hold: its part of the file descriptors of
// the process, one in every part, and at most most. The parts of all listeners together should
// leave half of the descriptors to the store, to calls to Graph and to files.
func Share(most, part int) int {
	limit := uint64(descriptors)
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err == nil {
		limit = r.Cur
	}
	return int(max(1, min(uint64(most), limit/uint64(part)))) //nolint:gosec // at most most
}

// Reachable returns where this machine reaches what listens on an address.
func Reachable(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), err
}

// Bound applies limits to srv and returns the listener that it has to serve; TLS, if any, goes
// on top of that. Call it after the handler of srv is set and before srv serves.
func Bound(srv *http.Server, ln net.Listener, l Limits) net.Listener {
	srv.ReadHeaderTimeout, srv.ReadTimeout, srv.WriteTimeout, srv.IdleTimeout = l.Header, l.Body, l.Answer, l.Idle
	srv.MaxHeaderBytes = l.HeaderBytes
	srv.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: streams}
	srv.ConnContext, srv.ConnState = remember, answered
	srv.Handler = track(srv.Handler)
	return newCapped(ln, l.Conns)
}

// Serve calls serve, which serves srv, and beside it the other functions, until ctx ends or one
// of them fails. Then it waits until the others have returned, lets the requests that have begun
// finish for grace, and closes srv. The error is of what failed; nil once ctx has ended.
func Serve(
	ctx context.Context, srv *http.Server, grace time.Duration, serve func() error, beside ...func(context.Context) error,
) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	g, gctx := errgroup.WithContext(running)
	for _, f := range beside {
		g.Go(func() error { return f(gctx) })
	}
	var failed error
	served := make(chan struct{})
	go func() {
		defer close(served)
		failed = serve()
	}()
	select {
	case <-served:
	case <-gctx.Done():
	}
	cancel()
	err := g.Wait()
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer stop()
	if srv.Shutdown(end) != nil {
		_ = srv.Close() // the requests that are left are cut off
	}
	<-served
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(failed, http.ErrServerClosed):
		return err
	}
	return failed
}

type connKey struct{}

func remember(ctx context.Context, c net.Conn) context.Context {
	if c, ok := below(c); ok {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// below returns the connection that carries c, which may be TLS.
func below(c net.Conn) (*conn, bool) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	mine, ok := c.(*conn)
	return mine, ok
}

// answered ends the work on an HTTP/1 request once its answer is written: the server writes it
// after the handler has returned.
func answered(c net.Conn, state http.ConnState) {
	if state != http.StateIdle {
		return
	}
	if c, ok := below(c); ok {
		if w := c.current.Swap(nil); w != nil {
			w.end()
		}
	}
}

// Began returns when the first byte of a request arrived, so that the time of its header and
// TLS handshake is included. It is for HTTP/1, where a connection carries one request at a
// time.
func Began(r *http.Request) time.Time {
	if c, ok := r.Context().Value(connKey{}).(*conn); ok {
		if t := c.began.Load(); t != 0 {
			return time.UnixMilli(t)
		}
	}
	return time.Now()
}

// track records for each connection when a request was received completely, and closes the
// connection after a refusal, because the rest of the body is not read.
func track(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		c, ok := req.Context().Value(connKey{}).(*conn)
		if !ok {
			next.ServeHTTP(rw, req)
			return
		}
		w := &work{conn: c}
		if req.ProtoMajor == 1 {
			c.current.Store(w)
		} else {
			w.rest = sending
			defer w.end()
		}
		if req.Body == nil || req.Body == http.NoBody {
			w.begin()
		} else {
			req.Body = &body{req.Body, w}
		}
		next.ServeHTTP(&answer{ResponseWriter: rw}, req)
	})
}

// work is one request on a connection. Its body may be read concurrently with its end.
type work struct {
	conn  *conn
	rest  time.Duration
	state atomic.Int32 // 0: being received, 1: being processed, 2: answered
}

func (w *work) begin() {
	if w.state.CompareAndSwap(0, 1) {
		w.conn.working(+1, 0)
	}
}

func (w *work) end() {
	if w.state.Swap(2) == 1 {
		w.conn.working(-1, w.rest)
	}
	w.conn.began.Store(0)
}

// body notices when it was read to its end.
type body struct {
	io.ReadCloser
	work *work
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.work.begin()
	}
	return n, err
}

// answer closes the connection after a refusal.
type answer struct {
	http.ResponseWriter
	wrote bool
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) WriteHeader(status int) {
	if !a.wrote && status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		a.Header().Set("Connection", "close")
	}
	a.wrote = a.wrote || status >= http.StatusOK
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	a.wrote = true
	return a.ResponseWriter.Write(p)
}
