// Package mail sends notices by SMTP. It is the only home of SMTP: errors tell its codes, and never
// what the server wrote, which may name people.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"pullprint/connector/notify"
	"pullprint/trigger/secretfile"
)

// The values of SMTP.TLS.
const (
	StartTLS = "starttls" // begin in the clear, and go on only with TLS
	TLS      = "tls"      // TLS from the beginning
	None     = "none"     // in the clear, to this machine only
)

// SMTP is how to reach the mail server.
type SMTP struct {
	// Address is host:port.
	Address string `yaml:"address"`
	// TLS is starttls, tls or none.
	TLS string `yaml:"tls"`
	// User signs in with the password in PasswordFile; both may be empty. The file is read for each
	// message, so that a new password needs no restart.
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
}

// Addresses finds the mail address of a person; *graph.Client is one.
type Addresses interface {
	// MailAddress returns the address of a user, by object id; empty when there is none, or no such
	// user.
	MailAddress(ctx context.Context, user string) (string, error)
}

// Options are what a Sender is made of.
type Options struct {
	// From is the address of the sender.
	From string
	SMTP SMTP
	// Roots are whose certificates are believed; nil are those that this machine believes.
	Roots     *x509.CertPool
	Addresses Addresses
}

// Sender is the channel mail.
type Sender struct {
	o    Options
	host string
	port string
	// domain is what message ids end with.
	domain string
}

// maxReplies is how many bytes a server may send in one connection, with the handshake of TLS: an
// ordinary conversation has some 10 KiB.
const maxReplies = 1 << 20

// stepWithin is how long a server may take for one answer: it may check a message before it takes it.
const stepWithin = 45 * time.Second

// New makes a Sender. It connects only to send.
func New(o Options) (*Sender, error) {
	host, port, err := net.SplitHostPort(o.SMTP.Address)
	if err != nil {
		return nil, fmt.Errorf("address of the mail server: %w", err)
	}
	from, err := netmail.ParseAddress(o.From)
	if err != nil {
		return nil, fmt.Errorf("address of the sender: %w", err)
	}
	return &Sender{o: o, host: host, port: port, domain: from.Address[strings.LastIndexByte(from.Address, '@')+1:]}, nil
}

// Name implements notify.Channel.
func (s *Sender) Name() string { return "mail" }

// Send implements notify.Channel.
func (s *Sender) Send(ctx context.Context, m notify.Message) error {
	_, err := s.Deliver(ctx, m)
	return err
}

// Deliver is Send that returns the server's answer to the message.
func (s *Sender) Deliver(ctx context.Context, m notify.Message) (answer string, err error) {
	to, err := s.o.Addresses.MailAddress(ctx, m.Owner)
	if err != nil {
		return "", &notify.Down{Why: "the mail address could not be looked up", Err: err}
	}
	msg, err := s.compose(to, m)
	if err != nil {
		return "", err
	}
	client, err := s.client(ctx)
	if err != nil {
		return "", err
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return "", s.unreached(ctx, err)
	}
	defer client.CloseWithSMTPClient(conn) //nolint:errcheck // what counts is the answer to the message
	err = client.SendWithSMTPClient(conn, msg)
	if msg.IsDelivered() { // whatever came after that
		return msg.ServerResponse(), nil
	}
	return "", classify(err)
}

// Check connects and signs in, and sends nothing.
func (s *Sender) Check(ctx context.Context) error {
	client, err := s.client(ctx)
	if err != nil {
		return err
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return s.unreached(ctx, err)
	}
	return client.CloseWithSMTPClient(conn)
}

// compose makes the message. The library encodes headers; the subject has no line breaks.
func (s *Sender) compose(to string, m notify.Message) (*gomail.Msg, error) {
	msg := gomail.NewMsg()
	if to == "" || msg.To(to) != nil {
		return nil, notify.ErrNoAddress
	}
	if err := msg.From(s.o.From); err != nil {
		return nil, &notify.Down{Why: "notices.mail.from is not a mail address"}
	}
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(m.ID + "@" + s.domain)
	msg.SetDate()
	// No out-of-office replies (RFC 3834, and what Exchange looks at).
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text+"\n")
	return msg, nil
}

// client is how to speak to the server, with the password as it is now.
func (s *Sender) client(ctx context.Context) (*gomail.Client, error) {
	conf := &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12, RootCAs: s.o.Roots}
	policy := gomail.TLSMandatory
	if s.o.SMTP.TLS != StartTLS {
		policy = gomail.NoTLS
	}
	options := []gomail.Option{
		gomail.WithTLSPolicy(policy), gomail.WithTLSConfig(conf), gomail.WithTimeout(stepWithin), gomail.WithoutNoop(),
		gomail.WithoutRset(), gomail.WithDialContextFunc(s.dial(ctx, conf)),
	}
	if s.o.SMTP.User != "" {
		password, err := secretfile.Read(s.o.SMTP.PasswordFile)
		if err != nil {
			return nil, &notify.Down{Why: "the password of the mail server can't be read", Err: err}
		}
		options = append(options, gomail.WithUsername(s.o.SMTP.User), gomail.WithPassword(password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	c, err := gomail.NewClient(s.host, options...)
	if err != nil {
		return nil, &notify.Down{Why: "the mail server can't be used as it is configured", Err: err}
	}
	return c, nil
}

// dial connects so that the end of ctx ends the conversation, and too many bytes do.
func (s *Sender) dial(ctx context.Context, conf *tls.Config) gomail.DialContextFunc {
	return func(dialing context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(dialing, network, net.JoinHostPort(s.host, s.port))
		if err != nil {
			return nil, err
		}
		c := &bounded{Conn: conn, left: maxReplies}
		c.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
		if s.o.SMTP.TLS == TLS {
			return tls.Client(c, conf), nil
		}
		return c, nil
	}
}

// bounded is a connection from which so much can be read.
type bounded struct {
	net.Conn
	left int
	stop func() bool
}

var errTooMuch = errors.New("the mail server sends too much")

// Read implements net.Conn.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// Close implements net.Conn.
func (b *bounded) Close() error {
	b.stop()
	return b.Conn.Close()
}

// withoutText is an error without what the server wrote.
func withoutText(err error) error {
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		return fmt.Errorf("it answered %d", answer.Code)
	}
	return err
}

// unreached says why there is no connection over which messages can be sent.
func (s *Sender) unreached(ctx context.Context, err error) error {
	why := "the mail server could not be reached"
	answer, answered := errors.AsType[*textproto.Error](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, network := errors.AsType[net.Error](err)
	switch {
	case answered && slices.Contains([]int{530, 534, 535, 538}, answer.Code): // RFC 4954, section 6
		why = "the mail server does not take the user or the password"
	case answered:
		why = "the mail server turned us away"
	case noTLS:
		why = "the mail server does not begin with TLS at this port: starttls is the other way"
	case untrusted:
		why = "this machine does not trust the certificate of the mail server"
	case s.o.SMTP.TLS == StartTLS && !network && s.lacksStartTLS(ctx):
		return &notify.Down{Why: "the mail server does not offer STARTTLS at this port"}
	}
	return &notify.Down{Why: why, Err: withoutText(err)}
}

// lacksStartTLS asks the server, in a connection of its own and without signing in, whether it offers
// STARTTLS: the library's error for one that does not has no type.
func (s *Sender) lacksStartTLS(ctx context.Context) bool {
	anonymous := *s
	anonymous.o.SMTP.TLS, anonymous.o.SMTP.User = None, ""
	client, err := anonymous.client(ctx)
	if err != nil {
		return false
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return false
	}
	defer client.CloseWithSMTPClient(conn) //nolint:errcheck // the answer is there
	offered, _ := conn.Extension("STARTTLS")
	return !offered
}

// classify says what an error of sending means for others and for another try.
func classify(err error) error {
	failed, ok := errors.AsType[*gomail.SendError](err)
	if !ok {
		return &notify.Down{Why: "the mail server broke off", Err: withoutText(err)}
	}
	step := map[gomail.SendErrReason]string{
		gomail.ErrSMTPMailFrom: "the sender", gomail.ErrSMTPRcptTo: "the recipient",
		gomail.ErrSMTPData: "the message", gomail.ErrSMTPDataClose: "the message",
	}[failed.Reason]
	code := failed.ErrorCode()
	why := fmt.Sprintf("the mail server answered %d %s to %s", code, failed.EnhancedStatusCode(), step)
	why = strings.ReplaceAll(why, "  ", " ")
	switch {
	case code == 0 || step == "":
		return &notify.Down{Why: "the mail server broke off"}
	case failed.Reason == gomail.ErrSMTPMailFrom, code == 421:
		return &notify.Down{Why: why}
	case code >= 500:
		return &notify.Refused{Why: why}
	}
	return errors.New(why)
}
