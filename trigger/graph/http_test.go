package graph

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/trigger/graph/auth"
)

func TestRedirectIsNotFollowed(t *testing.T) {
	var visits atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer evil.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		c, _ := server(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, evil.URL+"/v1.0/x", status) })
		_, err := c.Job(t.Context(), ref)
		if e := problem(t, err); e.Status != status || e.Unavailable() {
			t.Errorf("redirect %d: %v", status, e)
		}
		if e := problem(t, c.AbortJob(t.Context(), ref, "no")); e.Status != status {
			t.Errorf("redirect %d of a write: %v", status, e)
		}
		if !c.LastSuccess().IsZero() {
			t.Error("a redirect counts as an answer of Graph")
		}
	}
	away := httptest.NewServer(http.RedirectHandler(evil.URL, http.StatusTemporaryRedirect))
	defer away.Close()
	cfg := testConfig(t)
	cfg.Endpoints = Endpoints{Graph: away.URL, Authority: away.URL}
	c, err := New(cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	var ae *auth.Error
	if err := c.SignIn(t.Context()); !errors.As(err, &ae) || ae.Status != 307 || ae.Permanent() {
		t.Errorf("authority redirects: %v", err)
	}
	if visits.Load() != 0 {
		t.Errorf("%d requests went where a redirect pointed", visits.Load())
	}
}

func TestNewConnectionAfter503(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			var mu sync.Mutex
			var from []string
			slow, release := make(chan struct{}), make(chan struct{})
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/token") {
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprint(w, `{"expires_in":3600,"access_token":"token-1"}`)
					return
				}
				if strings.HasSuffix(r.URL.Path, "/jobs/slow") { // keeps the old connection busy
					close(slow)
					<-release
					fmt.Fprint(w, `{"id":"`+path.Base(r.URL.Path)+`"}`)
					return
				}
				mu.Lock()
				from = append(from, r.RemoteAddr)
				n := len(from)
				mu.Unlock()
				if r.Proto != version {
					t.Errorf("spoke %s", r.Proto)
				}
				if n == 2 {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				fmt.Fprint(w, `{"id":"`+path.Base(r.URL.Path)+`"}`)
			}))
			s.EnableHTTP2 = version == "HTTP/2.0"
			closed := make(chan string, 10)
			s.Config.ConnState = func(conn net.Conn, state http.ConnState) {
				if state == http.StateClosed {
					closed <- conn.RemoteAddr().String()
				}
			}
			s.StartTLS()
			defer s.Close()
			c := trusting(t, s)
			read := func(job string) {
				t.Helper()
				if _, err := c.Job(t.Context(), Ref{"p", job}); err != nil {
					t.Error(err)
				}
			}
			read("1")
			var wg sync.WaitGroup
			wg.Go(func() { read("slow") })
			<-slow
			read("2") // 503, then again
			close(release)
			wg.Wait()
			if len(from) != 3 {
				t.Fatalf("%d requests", len(from))
			}
			if from[2] == from[1] {
				t.Errorf("after a 503 from %s the next try went over the same connection", from[1])
			}
			if version == "HTTP/1.1" {
				if gone := <-closed; gone != from[1] {
					t.Errorf("%s was closed, want the connection of the 503", gone)
				}
			}
			if version == "HTTP/2.0" && from[1] != from[0] {
				t.Error("two calls of one HTTP/2 client did not share a connection")
			}
		})
	}
}

// trusting makes a client of a TLS server on loopback, with our own transport.
func trusting(t *testing.T, s *httptest.Server) *Client {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t)
	cfg.Endpoints = Endpoints{Graph: s.URL + "/v1.0", Authority: s.URL, CAFile: ca}
	c, err := New(cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func TestUnknownCertificateIsNotSpokenTo(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request came through") }))
	s.Config.ErrorLog = nopLog()
	s.StartTLS()
	defer s.Close()
	cfg := testConfig(t)
	cfg.Endpoints = Endpoints{Graph: s.URL + "/v1.0", Authority: s.URL}
	c, err := New(cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	if err := c.SignIn(t.Context()); err == nil || !strings.Contains(err.Error(), "TLS failed: ") {
		t.Errorf("got %v", err)
	}
}

func TestDialRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c, _ := server(t, func(w http.ResponseWriter, r *http.Request) { t.Error("called") })
	if err := c.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	base, err := endpoint("", "http://"+address+"/v1.0", "")
	if err != nil {
		t.Fatal(err)
	}
	c.base = base
	ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
	defer cancel()
	e := problem(t, c.AbortJob(ctx, ref, "no"))
	if !e.Unavailable() || e.Ambiguous() || !strings.Contains(e.Error(), "connection refused") {
		t.Errorf("unavailable %v, ambiguous %v: %v", e.Unavailable(), e.Ambiguous(), e)
	}
}

func TestReplyLostOnARealConnection(t *testing.T) {
	var aborts, reads atomic.Int32
	c, _ := server(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost {
			aborts.Add(1)
		} else if reads.Add(1) == 3 {
			return
		}
		panic(http.ErrAbortHandler)
	})
	if e := problem(t, c.AbortJob(t.Context(), ref, "no")); !e.Ambiguous() || aborts.Load() != 1 {
		t.Errorf("%d aborts, ambiguous %v: %v", aborts.Load(), e.Ambiguous(), e)
	}
	_, err := c.Job(t.Context(), ref) // the third answer is empty
	if e := problem(t, err); reads.Load() != 3 || e.Status != 200 {
		t.Errorf("%d reads: %v", reads.Load(), e)
	}
}

func TestAnswersAreLimited(t *testing.T) {
	c, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"id":"`)
		for range 17 {
			fmt.Fprint(w, strings.Repeat("x", 1<<20))
		}
		fmt.Fprint(w, `"}`)
	})
	_, err := c.Job(t.Context(), ref)
	if e := problem(t, err); !errors.Is(err, errTooLarge) || e.Unavailable() {
		t.Errorf("got %v", e)
	}
}

func TestIdleConnectionsAreKept(t *testing.T) {
	const n = 20
	var together, wg sync.WaitGroup
	var mu sync.Mutex
	from := map[string]bool{}
	c, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.RemoteAddr] = true
		mu.Unlock()
		together.Done()
		together.Wait() // all at once, so that each needs a connection
		fmt.Fprint(w, `{"id":"5182"}`)
	})
	for range 3 {
		together.Add(n)
		for range n {
			wg.Go(func() {
				if _, err := c.Job(t.Context(), ref); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if len(from) > n+n/4 { // a connection may be dialed while one comes back
		t.Errorf("%d connections for %d calls at once, want them reused", len(from), n)
	}
}
