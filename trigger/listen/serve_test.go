package listen

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// served is a server under Serve; do sends a request to it.
type served struct {
	srv  *http.Server
	ln   net.Listener
	ctx  context.Context
	end  context.CancelFunc
	done chan error
}

func serve(
	t *testing.T, grace time.Duration, h http.HandlerFunc, beside ...func(context.Context) error,
) *served {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &served{srv: &http.Server{Handler: h}, ln: ln, done: make(chan error, 1)}
	s.ctx, s.end = context.WithCancel(t.Context())
	t.Cleanup(s.end)
	go func() { s.done <- Serve(s.ctx, s.srv, grace, func() error { return s.srv.Serve(ln) }, beside...) }()
	return s
}

func (s *served) get() (string, error) {
	res, err := http.Get("http://" + s.ln.Addr().String())
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

// A request that has begun is answered after the end of the context, within the grace.
func TestServeFinishes(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}), make(chan struct{})
	s := serve(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "done")
	})
	answer := make(chan string, 1)
	go func() {
		text, _ := s.get()
		answer <- text
	}()
	<-begun
	s.end()
	close(finish)
	if got := <-answer; got != "done" {
		t.Errorf("the answer is %q", got)
	}
	if err := <-s.done; err != nil {
		t.Errorf("after the end of the context: %v", err)
	}
}

// A request that takes longer than the grace does not keep the server from ending.
func TestServeCutsOff(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	s := serve(t, time.Millisecond, func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	})
	failed := make(chan error, 1)
	go func() {
		_, err := s.get()
		failed <- err
	}()
	<-begun
	s.end()
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	if <-failed == nil {
		t.Error("the request was answered")
	}
}

// While what runs beside the server ends, requests are still answered; the error of one that
// fails ends the server.
func TestServeBeside(t *testing.T) {
	t.Parallel()
	ended, answered := make(chan struct{}), make(chan struct{})
	broken := errors.New("broken")
	s := serve(t, time.Second, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") },
		func(ctx context.Context) error {
			<-ctx.Done()
			close(ended)
			<-answered
			return nil
		}, func(context.Context) error { return broken })
	<-ended
	if text, err := s.get(); text != "here" {
		t.Errorf("answered %q, %v", text, err)
	}
	close(answered)
	if err := <-s.done; !errors.Is(err, broken) {
		t.Errorf("ended with %v", err)
	}
}

// A listener that fails ends what runs beside the server, and is the error.
func TestServeFails(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Second, nil, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	_ = s.ln.Close()
	if err := <-s.done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
}

// An address of all interfaces is reached on this machine; any other where it is.
func TestReachable(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		":80": "127.0.0.1:80", "0.0.0.0:80": "127.0.0.1:80", "[::]:80": "127.0.0.1:80", "[::1]:80": "[::1]:80",
		"10.0.0.1:80": "10.0.0.1:80", "print.example.com:80": "print.example.com:80",
	} {
		if got, err := Reachable(address); got != want || err != nil {
			t.Errorf("Reachable(%s) = %s, %v, want %s", address, got, err, want)
		}
	}
	if _, err := Reachable("80"); err == nil {
		t.Error("a port alone is an address")
	}
}
