package graph

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pullprint/trigger/graph/auth"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testTenant = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
	testClient = "815f204f-c791-4ee6-9098-614ecdb003f6"
	testSecret = "s3cr3t~value"
)

// fakeServers are an authority and a Graph in memory, for tests in virtual time. Each
// test scripts graph; the authority gives tokens that count up.
type fakeServers struct {
	mu        sync.Mutex
	graph     func(n int, r *http.Request) (*http.Response, error) // n counts from 1
	authority func(n int, r *http.Request) (*http.Response, error) // nil: tokens of an hour
	calls     int
	fetches   int
	bearers   []string // of each Graph request
	at        []time.Time
	idle      int // CloseIdleConnections
}

func (o *fakeServers) CloseIdleConnections() { o.mu.Lock(); o.idle++; o.mu.Unlock() }

func (o *fakeServers) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") {
		o.mu.Lock()
		o.fetches++
		n, f := o.fetches, o.authority
		o.mu.Unlock()
		if f == nil {
			return tokenAnswer(n, 3600), nil
		}
		return f(n, r)
	}
	o.mu.Lock()
	o.calls++
	n := o.calls
	o.bearers = append(o.bearers, r.Header.Get("Authorization"))
	o.at = append(o.at, time.Now())
	o.mu.Unlock()
	return o.graph(n, r)
}

func tokenAnswer(n, life int) *http.Response {
	return answer(200, fmt.Sprintf(`{"token_type":"Bearer","expires_in":%d,"access_token":"token-%d"}`, life, n))
}

// answer makes a response; headers are pairs.
func answer(status int, body string, headers ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

func refusal(status int, code string, headers ...string) *http.Response {
	return answer(status,
		`{"error":{"code":"`+code+`","message":"the document Secret Plan.docx of Ann","innerError":{"request-id":"r-1"}}}`,
		headers...)
}

var (
	errDial = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	errRead = &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
)

// consume reads the request's body, as a server would.
func consume(r *http.Request) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

func secretFile(t testing.TB, secret string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "client-secret")
	if err := os.WriteFile(name, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func testConfig(t testing.TB) Config {
	return Config{TenantID: testTenant, Auth: auth.Config{ClientID: testClient, ClientSecretFile: secretFile(t, testSecret)}}
}

// client makes a client of the fakeServers, and a record of what it logs.
func (o *fakeServers) client(t testing.TB) (*Client, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	c, err := New(testConfig(t), Options{Transport: o, Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	return c, logs
}

// server runs h as Graph below /v1.0 next to an authority, on a real socket,
// and returns a client with its own transport.
func server(t testing.TB, h http.HandlerFunc) (*Client, *httptest.Server) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /"+testTenant+"/oauth2/v2.0/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"token_type":"Bearer","expires_in":3600,"access_token":"token-1"}`)
	})
	mux.HandleFunc("/v1.0/", h)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	cfg := testConfig(t)
	cfg.Endpoints = Endpoints{Graph: s.URL + "/v1.0", Authority: s.URL}
	c, err := New(cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c, s
}

var ref = Ref{Printer: "c05f3726-0d4b-4aa1-8fe9-2eb981bb26fb", Job: "5182"}

// problem is err as the one error type.
func problem(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v (%T), want an *Error", err, err)
	}
	return e
}

func nopLog() *log.Logger { return log.New(io.Discard, "", 0) }
