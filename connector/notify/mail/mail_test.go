package mail_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"pullprint/connector/notify"
	"pullprint/connector/notify/mail"
)

const password = "correct horse"

// server is a mail server that does what a test asks for.
type server struct {
	address string
	roots   *x509.CertPool
	refuse  map[string]*smtp.SMTPError // by step: mail, rcpt, data

	mu       sync.Mutex
	messages []string
	signedIn int
}

// serve starts a mail server; change may change it.
func serve(t *testing.T, security string, change func(*server, *smtp.Server)) *server {
	t.Helper()
	s := &server{refuse: map[string]*smtp.SMTPError{}}
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{s: s}, nil }))
	srv.Domain, srv.ErrorLog = "localhost", log.New(io.Discard, "", 0)
	cert, roots := certificate(t)
	s.roots = roots
	if security != mail.None {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	if change != nil {
		change(s, srv)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = ln.Addr().String()
	if security == mail.TLS {
		ln = tls.NewListener(ln, srv.TLSConfig)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = srv.Serve(ln) }()
	t.Cleanup(func() { _, _ = ln.Close(), srv.Close(); <-ended })
	return s
}

// certificate is one for 127.0.0.1, with who believes it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// session is one connection.
type session struct{ s *server }

func (session) Reset()        {}
func (session) Logout() error { return nil }

func (c session) answer(step string) error {
	if e := c.s.refuse[step]; e != nil {
		return e
	}
	return nil
}

func (c session) Mail(string, *smtp.MailOptions) error { return c.answer("mail") }
func (c session) Rcpt(string, *smtp.RcptOptions) error { return c.answer("rcpt") }

func (c session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := c.answer("data"); err != nil {
		return err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.messages = append(c.s.messages, string(text))
	return nil
}

func (session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (c session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, given string) error {
		if user != "printing" || given != password {
			return smtp.ErrAuthFailed
		}
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		c.s.signedIn++
		return nil
	}), nil
}

// addresses is a directory.
type addresses map[string]string

func (a addresses) MailAddress(_ context.Context, user string) (string, error) {
	if a[user] == "!" {
		return "", errors.New("the directory does not answer")
	}
	return a[user], nil
}

var people = addresses{"anna": "anna@contoso.com", "bob": "bob@contoso.com", "odd": "not an address\r\nBcc: x@contoso.com", "dark": "!"}

// sender sends to a server; user signs in when it is set.
func sender(t *testing.T, address, security, user, pass string, roots *x509.CertPool) *mail.Sender {
	t.Helper()
	smtp := mail.SMTP{Address: address, TLS: security, User: user}
	if user != "" {
		smtp.PasswordFile = filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(smtp.PasswordFile, []byte(pass+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := mail.New(mail.Options{From: "Printing <printing@contoso.com>", SMTP: smtp, Roots: roots, Addresses: people})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var hello = notify.Message{ID: "abc.job.aborted", Owner: "anna", Subject: "Your print job", Text: "It was not printed.\n"}

// A message arrives with TLS from the beginning, with STARTTLS, and in the clear on this machine,
// with a password and without.
func TestDelivers(t *testing.T) {
	for _, security := range []string{mail.StartTLS, mail.TLS, mail.None} {
		for _, user := range []string{"", "printing"} {
			t.Run(security+" "+user, func(t *testing.T) {
				s := serve(t, security, func(_ *server, srv *smtp.Server) { srv.AllowInsecureAuth = security == mail.None })
				answer, err := sender(t, s.address, security, user, password, s.roots).Deliver(t.Context(), hello)
				if err != nil || answer == "" || len(s.messages) != 1 {
					t.Fatalf("%q, %v, %d messages", answer, err, len(s.messages))
				}
				m, err := netmail.ReadMessage(strings.NewReader(s.messages[0]))
				if err != nil {
					t.Fatal(err)
				}
				for name, want := range map[string]string{
					"Message-Id": "<abc.job.aborted@contoso.com>", "To": "<anna@contoso.com>", "Subject": hello.Subject,
					"Auto-Submitted": "auto-generated",
				} {
					if got := m.Header.Get(name); got != want {
						t.Errorf("%s is %q, want %q", name, got, want)
					}
				}
				if user != "" && s.signedIn != 1 {
					t.Error("nobody signed in")
				}
			})
		}
	}
}

// What a server says decides whether the message is tried again, and whether others are.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		step string
		code int
		want string
	}{
		{"rcpt", 550, "refused"},
		{"rcpt", 450, "again"},
		{"data", 554, "refused"},
		{"data", 451, "again"},
		{"mail", 550, "down"},
		{"mail", 451, "down"},
		{"rcpt", 421, "down"},
	} {
		s := serve(t, mail.None, func(s *server, _ *smtp.Server) {
			s.refuse[c.step] = &smtp.SMTPError{
				Code: c.code, EnhancedCode: smtp.EnhancedCode{c.code / 100, 1, 1},
				Message: "anna@contoso.com",
			}
		})
		err := sender(t, s.address, mail.None, "", "", nil).Send(t.Context(), hello)
		if got := kind(err); got != c.want {
			t.Errorf("%d at %s: %s (%v), want %s", c.code, c.step, got, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "anna") {
			t.Errorf("%d at %s: the error has what the server wrote: %v", c.code, c.step, err)
		}
	}
	if got := kind(sender(t, "127.0.0.1:1", mail.None, "", "", nil).Send(t.Context(), hello)); got != "down" {
		t.Errorf("no server: %s", got)
	}
}

func kind(err error) string {
	_, refused := errors.AsType[*notify.Refused](err)
	_, down := errors.AsType[*notify.Down](err)
	switch {
	case err == nil:
		return "sent"
	case refused:
		return "refused"
	case down:
		return "down"
	case errors.Is(err, notify.ErrNoAddress):
		return "no address"
	}
	return "again"
}

// A server without TLS gets neither the password nor the message, and nor does one whose
// certificate nobody vouches for.
func TestNothingWithoutTLS(t *testing.T) {
	plain := serve(t, mail.None, func(_ *server, srv *smtp.Server) { srv.AllowInsecureAuth = true })
	stranger := serve(t, mail.StartTLS, nil)
	implicit := serve(t, mail.TLS, nil)
	for _, c := range []struct {
		s        *server
		security string
	}{{plain, mail.StartTLS}, {plain, mail.TLS}, {stranger, mail.StartTLS}, {implicit, mail.TLS}} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := sender(t, c.s.address, c.security, "printing", password, x509.NewCertPool()).Send(ctx, hello)
		cancel()
		if kind(err) != "down" || len(c.s.messages) != 0 || c.s.signedIn != 0 {
			t.Errorf("%s: %v, %d messages, %d signed in", c.security, err, len(c.s.messages), c.s.signedIn)
		}
	}
}

// A wrong password is a fault of the channel, and its check finds it. The error has no password.
func TestWrongPassword(t *testing.T) {
	s := serve(t, mail.StartTLS, nil)
	bad := sender(t, s.address, mail.StartTLS, "printing", "wrong horse", s.roots)
	for _, err := range []error{bad.Send(t.Context(), hello), bad.Check(t.Context())} {
		refused := err != nil && strings.Contains(err.Error(), "does not take the user or the password: it answered 535")
		if kind(err) != "down" || !refused || strings.Contains(err.Error(), "horse") {
			t.Errorf("%v", err)
		}
	}
	if err := sender(t, s.address, mail.StartTLS, "printing", password, s.roots).Check(t.Context()); err != nil || len(s.messages) != 0 {
		t.Errorf("%v, %d messages", err, len(s.messages))
	}
}

// An administrator is told which of the ways to a mail server is closed.
func TestUnreached(t *testing.T) {
	with, without := serve(t, mail.TLS, nil), serve(t, mail.None, nil)
	busy := raw(t, func(c net.Conn) { _, _ = io.WriteString(c, "554 no service\r\n") })
	for want, to := range map[string]*mail.Sender{
		"starttls is the other way":            sender(t, without.address, mail.TLS, "", "", nil),
		"does not offer STARTTLS at this port": sender(t, without.address, mail.StartTLS, "", "", nil),
		"does not trust the certificate":       sender(t, with.address, mail.TLS, "", "", x509.NewCertPool()),
		"turned us away: it answered 554":      sender(t, busy, mail.None, "", "", nil),
		"the mail server could not be reached": sender(t, "127.0.0.1:1", mail.None, "", "", nil),
	} {
		if err := to.Check(t.Context()); kind(err) != "down" || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "TLSMandatory") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// People without a usable address are told otherwise; a directory that does not answer is asked again.
func TestAddresses(t *testing.T) {
	s := serve(t, mail.None, nil)
	for owner, want := range map[string]string{"nobody": "no address", "odd": "no address", "dark": "down"} {
		m := hello
		m.Owner = owner
		if got := kind(sender(t, s.address, mail.None, "", "", nil).Send(t.Context(), m)); got != want {
			t.Errorf("%s: %s, want %s", owner, got, want)
		}
	}
}

// raw is a server that is no mail server: talk has the connection.
func raw(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { defer conn.Close(); talk(conn) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); serving.Wait() })
	return ln.Addr().String()
}

// A server that says nothing, breaks off, or never stops costs the time and memory of one message.
func TestHostileServers(t *testing.T) {
	endless := func(head string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = io.WriteString(c, head)
			for block := bytes.Repeat([]byte("x"), 64<<10); ; {
				if _, err := c.Write(block); err != nil {
					return
				}
			}
		}
	}
	script := func(answers ...string) func(net.Conn) {
		return func(c net.Conn) {
			for _, a := range answers {
				_, _ = io.WriteString(c, a)
				_, _ = c.Read(make([]byte, 4096))
			}
		}
	}
	for name, talk := range map[string]func(net.Conn){
		"silent":               func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"breaks off":           func(net.Conn) {},
		"breaks off halfway":   script("220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 go on\r\n"),
		"endless line":         endless(""),
		"endless answer":       endless("220 x\r\n250-"),
		"not SMTP":             script("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"answers of nothing":   script("\r\n", "\r\n"),
		"silent in the answer": func(c net.Conn) { _, _ = io.WriteString(c, "220-x\r\n"); _, _ = io.Copy(io.Discard, c) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			began := time.Now()
			err := sender(t, raw(t, talk), mail.None, "", "", nil).Send(ctx, hello)
			if kind(err) != "down" || time.Since(began) > 10*time.Second {
				t.Errorf("%v after %s", err, time.Since(began))
			}
		})
	}
}

// A message that the server has taken is sent, whatever it does after that.
func TestTakenIsSent(t *testing.T) {
	address := raw(t, func(c net.Conn) {
		for _, a := range []string{"220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 go on\r\n"} {
			_, _ = io.WriteString(c, a)
			_, _ = c.Read(make([]byte, 4096))
		}
		_, _ = io.WriteString(c, "250 taken\r\n")
	})
	if err := sender(t, address, mail.None, "", "", nil).Send(t.Context(), hello); err != nil {
		t.Error(err)
	}
}

// No line break in a subject makes a header.
func TestNoHeaderIsInjected(t *testing.T) {
	s := serve(t, mail.None, nil)
	m := hello
	m.Subject, m.Text = "Größe\r\nBcc: eve@contoso.com\r\n\r\nHello", "a\r\n.\r\nMAIL FROM:<eve@contoso.com>\r\nb\n"
	if err := sender(t, s.address, mail.None, "", "", nil).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got, err := netmail.ReadMessage(strings.NewReader(s.messages[0]))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(got.Body)
	if err != nil || got.Header.Get("Bcc") != "" || len(s.messages) != 1 || !strings.Contains(string(body), "MAIL FROM") {
		t.Errorf("%v %v %q", err, got.Header, body)
	}
}
