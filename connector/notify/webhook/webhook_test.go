package webhook_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"pullprint/connector/notice"
	"pullprint/connector/notify"
	"pullprint/connector/notify/webhook"
	"pullprint/trigger/graph"
)

// secret is one of so many bytes.
func secret(b byte, n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(b), n)))
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func example() *notice.Notice {
	return &notice.Notice{
		ID: "task-1:arrival:job.aborted", Kind: notice.Aborted, At: time.Date(2026, 3, 10, 9, 21, 7, 0, time.UTC), Queue: "Follow-Me",
		Ref: graph.Ref{Printer: "p", Job: "17"}, Owner: "11111111-2222-4333-8444-555555555555", Reason: "copies.too-many",
		Text: "More than 50 copies go to the print shop.", Remedy: "Print fewer copies.",
	}
}

// sender posts to a server of this machine.
func sender(t *testing.T, s *httptest.Server, o webhook.Options) *webhook.Sender {
	t.Helper()
	if o.URL == "" {
		o.URL = s.URL + "/a-secret-path?and=query"
	}
	if o.SecretFile == "" {
		o.SecretFile = write(t, secret('a', 32))
	}
	o.Source = "/pullprint/84bd8158-6d4d-4958-8b9f-9d6445542f95"
	if s.TLS != nil {
		o.Roots = x509.NewCertPool()
		o.Roots.AddCert(s.Certificate())
	}
	made, err := webhook.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// What is posted is a CloudEvent, and the library of Standard Webhooks verifies it, with the new secret
// and with the old one while both are in the file. The id stays the same when it is posted again.
func TestVerifiedByTheirLibrary(t *testing.T) {
	var ids []string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for _, b := range []byte("an") {
			verifier, err := standardwebhooks.NewWebhook(secret(b, 24))
			if err != nil {
				t.Error(err)
				return
			}
			if err := verifier.Verify(body, r.Header); err != nil {
				t.Errorf("secret of %c: %v", b, err)
			}
		}
		ids = append(ids, r.Header.Get("Webhook-Id"))
		if got := r.Header.Get("Content-Type"); got != "application/cloudevents+json; charset=UTF-8" || r.Method != http.MethodPost {
			t.Errorf("%s of %s", r.Method, got)
		}
		var e map[string]any
		if err := json.Unmarshal(body, &e); err != nil {
			t.Error(err)
		}
		data, _ := e["data"].(map[string]any)
		if e["specversion"] != "1.0" || e["id"] != "task-1:arrival:job.aborted" || e["type"] != "pullprint.notices.job.aborted" ||
			e["source"] != "/pullprint/84bd8158-6d4d-4958-8b9f-9d6445542f95" || e["time"] != "2026-03-10T09:21:07Z" ||
			data["reason"] != "copies.too-many" || data["owner"] != "11111111-2222-4333-8444-555555555555" {
			t.Errorf("%s", body)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer s.Close()
	to := sender(t, s, webhook.Options{Private: true, SecretFile: write(t, secret('n', 24)+"\r\n"+secret('a', 24)+"\n")})
	for range 2 {
		if err := to.Post(t.Context(), example()); err != nil {
			t.Fatal(err)
		}
	}
	if len(ids) != 2 || ids[0] != ids[1] || !strings.HasPrefix(ids[0], "msg_") || strings.Contains(ids[0], ".") {
		t.Errorf("ids %q", ids)
	}
	if err := to.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// What an answer means for the notice and for the receiver; no error has the path of the URL or what
// was answered.
func TestAnswers(t *testing.T) {
	const down, event, gone = "down", "event", "gone"
	for status, want := range map[int]string{
		200: "", 202: "", 204: "", 299: "", 301: down, 302: down, 307: down, 400: event, 401: down, 404: down,
		410: gone, 422: event, 429: down,
		500: event, 502: down, 503: down, 504: down,
	} {
		followed := atomic.Bool{}
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				followed.Store(true)
			}
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, strings.Repeat("a-word-of-theirs", 1000))
		}))
		err := sender(t, s, webhook.Options{}).Post(t.Context(), example())
		s.Close()
		got := ""
		server, isDown := errors.AsType[*notify.Down](err)
		switch {
		case isDown:
			got = down
		case errors.Is(err, notify.ErrGone):
			got = gone
		case err != nil:
			got = event
		}
		if got != want || followed.Load() {
			t.Errorf("%d: %q %v, want %q; redirect followed: %v", status, got, err, want, followed.Load())
		}
		if err != nil && (strings.Contains(err.Error(), "theirs") || strings.Contains(err.Error(), "secret-path")) {
			t.Errorf("%d: %v", status, err)
		}
		if status == 429 && server.After != 2*time.Minute {
			t.Errorf("Retry-After is %v", server.After)
		}
	}
}

// Addresses of this machine and of private networks are refused when they are connected to, whatever
// the name in the URL is: nothing reaches the server.
func TestPrivateAddress(t *testing.T) {
	var reached atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(net.Conn, http.ConnState) { reached.Add(1) }
	s.StartTLS()
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "[::ffff:127.0.0.1]"} {
		to := sender(t, s, webhook.Options{URL: "https://" + host + ":" + port + "/a-secret-path"})
		for _, err := range []error{to.Post(t.Context(), example()), to.Check(t.Context())} {
			if err == nil || !strings.Contains(err.Error(), "private: true") || strings.Contains(err.Error(), "secret-path") {
				t.Errorf("%s: %v", host, err)
			}
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// A proxy of the environment would connect in our place: none is used.
func TestNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	if err := sender(t, s, webhook.Options{Private: true}).Post(t.Context(), example()); err != nil {
		t.Error(err)
	}
}

// A receiver that answers without end, or not at all, is given up.
func TestEndlessAnswer(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Agent") == "headers" {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
			return
		}
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	if err := sender(t, s, webhook.Options{}).Post(t.Context(), example()); err != nil {
		t.Errorf("a body without end: %v", err)
	}
	if err := sender(t, s, webhook.Options{UserAgent: "headers"}).Post(t.Context(), example()); err == nil {
		t.Error("1 MiB of headers is taken")
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = sender(t, s, webhook.Options{URL: "http://" + silent.Addr().String() + "/x"}).Post(ctx, example())
	if _, down := errors.AsType[*notify.Down](err); !down || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("no answer: %v", err)
	}
}

// Secrets that can't be used are told without repeating them.
func TestReadSecrets(t *testing.T) {
	good := secret('a', 24)
	for text, want := range map[string]string{
		"": "no secret", "  \n": "no secret", "whsec_": "has 0 bytes", secret('a', 23): "has 23 bytes", secret('a', 65): "has 65 bytes",
		strings.TrimPrefix(good, "whsec_"): "does not begin", "whsec_!!!": "not base64",
		strings.Repeat(good+"\n", 4): "more than 3", good: "", secret('a', 64) + "\n" + good: "",
		strings.TrimRight(secret('a', 25), "="): "",
	} {
		_, err := webhook.ReadSecrets(text)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "YWFh")) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
