package webhook

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// serve serves w on loopback until stop.
func serve(t *testing.T, w *world, c Config, log *zap.Logger) (s *Server, addr string, stop func()) {
	t.Helper()
	s, err := NewServer(c, w.Handler, log)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	return s, l.Addr().String(), func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	}
}

// Clients that are slow on purpose are answered or cut off in time, and hold up
// nobody else.
func TestSlowClients(t *testing.T) {
	defer goleak.VerifyNone(t)
	w := newWorld(t, "http://127.0.0.1")
	defer w.follow(t)()
	_, addr, stop := serve(t, w, Config{}, nil)
	defer stop()
	head := "POST /graph/notifications HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
	ended := make(chan string, 10)
	slow := map[string]struct {
		first, drip string
		answer      bool // 408, with time left to store; else cut off
	}{
		"header never ends": {head, "X: y\r\n", false},
		"says nothing":      {"", "", false},
		"body never ends":   {head + "\r\n{", " ", true},
		"chunks never end":  {"POST /graph/notifications HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n", true},
	}
	for name, c := range slow {
		go func() {
			began := time.Now()
			status := drip(t, addr, c.first, c.drip)
			ended <- fmt.Sprintf("%s: %q after %s", name, status, time.Since(began).Round(time.Millisecond))
			if time.Since(began) > 2500*time.Millisecond {
				t.Errorf("%s: ended after %s", name, time.Since(began))
			}
			if c.answer != strings.Contains(status, " 408 ") || (c.answer && time.Since(began) > 1900*time.Millisecond) {
				t.Errorf("%s: %q after %s", name, status, time.Since(began))
			}
		}()
	}
	for range 5 {
		began := time.Now()
		res, err := http.Post("http://"+addr+"/graph/notifications", "application/json", strings.NewReader(post(item("a"))))
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != 202 || time.Since(began) > time.Second {
			t.Errorf("a good client: %d after %s", res.StatusCode, time.Since(began))
		}
	}
	for range slow {
		t.Log(<-ended)
	}
	http.DefaultClient.CloseIdleConnections()
}

// drip sends and returns the status line, or nothing when it is cut off.
func drip(t *testing.T, addr, first, more string) string {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer c.Close()
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(c).ReadString('\n') // empty when cut off
		answer <- line
	}()
	_, _ = io.WriteString(c, first)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for {
		select {
		case line := <-answer:
			return line
		case <-late:
			return "never"
		case <-tick.C:
			_, _ = io.WriteString(c, more) // fails when cut off
		}
	}
}

// The time that the header took counts: with a store that is stuck, the answer
// comes within 2.5 s of the first byte.
func TestHeaderTimeCounts(t *testing.T) {
	w := newWorld(t, "http://127.0.0.1")
	defer w.follow(t)()
	w.store.slow = func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
	_, addr, stop := serve(t, w, Config{}, nil)
	defer stop()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	body := post(item("a"))
	for range 2 { // the second on the same connection, after idling
		began := time.Now()
		fmt.Fprintf(c, "POST /graph/notifications HTTP/1.1\r\nHost: x\r\n")
		<-time.After(time.Second) // a slow client, in real time
		fmt.Fprintf(c, "Content-Length: %d\r\n\r\n%s", len(body), body)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if took := time.Since(began); res.StatusCode != 503 || took > 2500*time.Millisecond || took < 2200*time.Millisecond {
			t.Errorf("%d after %s", res.StatusCode, took)
		}
	}
}

// On stop it refuses first, even on connections that are open, and finishes what
// is in hand before it returns.
func TestStop(t *testing.T) {
	defer goleak.VerifyNone(t)
	w := newWorld(t, "http://127.0.0.1")
	defer w.follow(t)()
	inHand, finish := make(chan struct{}), make(chan struct{})
	w.store.slow = func(context.Context, string) error { close(inHand); <-finish; return nil }
	_, addr, stop := serve(t, w, Config{}, nil)
	send := func(c net.Conn, task string) {
		body := post(item(task))
		fmt.Fprintf(c, "POST /graph/notifications HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	status := func(c net.Conn) int {
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Error(err)
			return 0
		}
		res.Body.Close()
		return res.StatusCode
	}
	var conns [2]net.Conn
	for i := range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
	}
	send(conns[0], "first")
	<-inHand
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	for w.gate.enter() { // until it refuses
		w.gate.leave()
	}
	send(conns[1], "second")
	if code := status(conns[1]); code != 503 {
		t.Errorf("while stopping: %d", code)
	}
	select {
	case <-stopped:
		t.Error("returned with something in hand")
	default:
	}
	close(finish)
	if code := status(conns[0]); code != 202 {
		t.Errorf("what was in hand: %d", code)
	}
	<-stopped
	if len(w.store.bodies) != 1 {
		t.Errorf("stored %d", len(w.store.bodies))
	}
}

func TestServeNeedsAnOpenListener(t *testing.T) {
	w := newWorld(t, "")
	s, err := NewServer(Config{}, w.Handler, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := s.Serve(t.Context(), l); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("a closed listener: %v", err)
	}
}

// writePair makes a certificate with a serial number.
func writePair(t *testing.T, c TLS, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "print.example.com"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(time.Hour),
		DNSNames: []string{"print.example.com"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.CertFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, c.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// write replaces a file by another, as certificate tools do.
func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := errors.Join(os.WriteFile(name+".new", data, 0o600), os.Rename(name+".new", name)); err != nil {
		t.Fatal(err)
	}
}

func TestTLSFollowsItsFiles(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	dir := t.TempDir()
	files := TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	w := newWorld(t, "https://print.example.com")
	if _, err := NewServer(Config{TLS: files}, w.Handler, nil); err == nil || !strings.Contains(err.Error(), "webhook.tls") {
		t.Errorf("missing files: %v", err)
	}
	if _, err := NewServer(Config{TLS: TLS{CertFile: files.CertFile}}, w.Handler, nil); err == nil {
		t.Error("a certificate without a key is accepted")
	}
	writePair(t, files, 1)
	defer w.follow(t)()
	s, addr, stop := serve(t, w, Config{TLS: files}, zap.New(core))
	defer stop()
	serial := func() string {
		t.Helper()
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		body := post(item("a"))
		fmt.Fprintf(c, "POST /graph/notifications HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != 202 {
			t.Fatal(res, err)
		}
		res.Body.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	if n := serial(); n != "1" {
		t.Errorf("serial %s, want 1", n)
	}
	writePair(t, files, 2)
	if s.pair.check(); serial() != "2" {
		t.Error("not reloaded")
	}
	cert, err := os.ReadFile(files.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, []byte("x"), bytes.Repeat(cert, 2)[:len(cert)/2]} {
		write(t, files.CertFile, bad)
		for range 3 {
			s.pair.check()
		}
		if serial() != "2" {
			t.Error("the old pair isn't kept")
		}
	}
	if err := os.Remove(files.KeyFile); err != nil {
		t.Fatal(err)
	}
	s.pair.check()
	if n := logs.FilterMessage("new certificate can't be used, keeping the current one").Len(); n != 4 || serial() != "2" {
		t.Errorf("said %d times, want once for each of 4 changes", n)
	}
	writePair(t, files, 3)
	if s.pair.check(); serial() != "3" {
		t.Error("not reloaded after bad ones")
	}
	if c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		c.Close()
		t.Error("TLS 1.1 is accepted")
	}
}
