package graphtest

import (
	"context"
	"io"
	"log"
	"mime"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
)

// The limits of the mail server. A notice has some KiB.
const (
	maxMail = 256 << 10 // bytes of a message
	// maxMailText is how much of it is kept: maxMessages of them are 8 MiB.
	maxMailText   = 16 << 10
	maxRecipients = 10
	maxSessions   = 16
	// mailWithin is how long a client may take for a command, and for reading the answer.
	mailWithin = 30 * time.Second
)

// ServeMail is a mail server on ln, without TLS and signing in, until ctx ends. What it takes is in
// Messages.
func (s *Sim) ServeMail(ctx context.Context, ln net.Listener) error {
	var sessions atomic.Int64
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		if sessions.Add(1) > maxSessions {
			sessions.Add(-1)
			return nil, &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "too many connections"}
		}
		return &mailSession{sim: s, open: &sessions}, nil
	}))
	srv.Domain, srv.MaxMessageBytes, srv.MaxRecipients = "simulator", maxMail, maxRecipients
	srv.ReadTimeout, srv.WriteTimeout, srv.ErrorLog = mailWithin, mailWithin, log.New(io.Discard, "", 0)
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(ln); ctx.Err() == nil {
		return err
	}
	return nil
}

// mailSession is one connection to the mail server.
type mailSession struct {
	sim  *Sim
	open *atomic.Int64
	from string
	to   []string
}

func (m *mailSession) Reset() { m.from, m.to = "", nil }

func (m *mailSession) Logout() error {
	m.open.Add(-1)
	return nil
}

func (m *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	m.from = from
	return nil
}

func (m *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	m.to = append(m.to, to)
	return nil
}

// Data keeps a message, its text as people read it.
func (m *mailSession) Data(r io.Reader) error {
	got, err := netmail.ReadMessage(r)
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "this is no mail"}
	}
	body := got.Body
	if strings.EqualFold(got.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(io.LimitReader(body, maxMailText))
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, got.Body); err != nil { // what is not kept is taken, too
		return err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if err != nil {
		subject = got.Header.Get("Subject")
	}
	kept := Message{
		By: "SMTP", From: m.from, To: strings.Join(m.to, ", "), Subject: subject, Text: string(text),
		ID: got.Header.Get("Message-ID"), Headers: map[string]string{},
	}
	for _, name := range []string{"Auto-Submitted", "X-Auto-Response-Suppress"} {
		if v := got.Header.Get(name); v != "" {
			kept.Headers[name] = v
		}
	}
	m.sim.keepMessage(kept)
	return nil
}
