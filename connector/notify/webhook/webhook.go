// Package webhook tells other systems of notices: each is posted as a CloudEvent, signed by the
// scheme of Standard Webhooks. A receiver is not trusted: it is waited for so long, so much is read of
// what it answers, and no error repeats any of it, nor the path of its URL, which may be a secret.
package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"pullprint/connector/notice"
	"pullprint/connector/notify"
	"pullprint/trigger/graph/transport"
	"pullprint/trigger/secretfile"
)

const (
	// answerWithin is how long a receiver may take, with the connection: the specification recommends
	// 15 to 30 s (Standard Webhooks 1.0.0, "Request timeouts").
	answerWithin = 20 * time.Second
	// connectWithin is the part of it for the connection, and again for TLS.
	connectWithin = 5 * time.Second
	// maxHeader is how much a receiver may send before its answer, and maxBody how much of that is read
	// so that the connection can be used again: what counts is the status.
	maxHeader = 64 << 10
	maxBody   = 16 << 10
	// idleFor is how long a connection is kept for the next notice.
	idleFor = 30 * time.Second
)

// Options are what a Sender is made of.
type Options struct {
	// URL is https, or http to this machine.
	URL string
	// SecretFile has the secrets that sign, see ReadSecrets. It is read for each notice, so that a new
	// secret needs no restart.
	SecretFile string
	// Events are the kinds of notices that are posted; none are all.
	Events []string
	// Private lets the receiver have an address of this machine or of a private network.
	Private bool
	// Source is the attribute of that name in events: which installation it is.
	Source string
	// UserAgent is the header of that name.
	UserAgent string
	// Roots are whose certificates are believed; nil are those that this machine believes.
	Roots *x509.CertPool
}

// Sender posts notices to one URL. It is safe for concurrent use.
type Sender struct {
	o      Options
	url    *url.URL
	dialer *net.Dialer
	tls    *tls.Config
	client *http.Client
}

// New makes a Sender. It connects only to post.
func New(o Options) (*Sender, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("the URL of a webhook can't be read") // it may have a secret in it
	}
	s := &Sender{o: o, url: u, tls: &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12, RootCAs: o.Roots}}
	s.dialer = &net.Dialer{Timeout: connectWithin, ControlContext: control(u.Scheme == "http", o.Private)}
	s.client = transport.Client(transport.New(&http.Transport{
		// No proxy: it would connect in our place, to whatever address it finds.
		DialContext: s.dialer.DialContext, TLSClientConfig: s.tls, TLSHandshakeTimeout: connectWithin,
		MaxIdleConnsPerHost: 1, IdleConnTimeout: idleFor, MaxResponseHeaderBytes: maxHeader, DisableCompression: true,
	}, 1, nil))
	return s, nil
}

// Host implements notify.Webhook.
func (s *Sender) Host() string { return s.url.Host }

// Key implements notify.Webhook.
func (s *Sender) Key() string {
	sum := sha256.Sum256([]byte(s.o.URL))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// Wants implements notify.Webhook.
func (s *Sender) Wants(kind string) bool {
	return len(s.o.Events) == 0 || slices.Contains(s.o.Events, kind)
}

// event is a CloudEvent 1.0 in the structured mode of JSON
// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md).
type event struct {
	SpecVersion string         `json:"specversion"`
	ID          string         `json:"id"`
	Source      string         `json:"source"`
	Type        string         `json:"type"`
	Time        time.Time      `json:"time,omitzero"`
	ContentType string         `json:"datacontenttype"`
	Data        *notice.Notice `json:"data"`
}

// TypePrefix is what the types of events have before the kind of notice: they are the subjects of the
// stream.
const TypePrefix = "pullprint.notices."

// Post implements notify.Webhook.
func (s *Sender) Post(ctx context.Context, n *notice.Notice) error {
	_, err := s.Deliver(ctx, n)
	return err
}

// Deliver is Post that returns the status of the answer.
func (s *Sender) Deliver(ctx context.Context, n *notice.Notice) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	body, err := json.Marshal(event{
		SpecVersion: "1.0", ID: n.ID, Source: s.o.Source, Type: TypePrefix + n.Kind, Time: n.At, ContentType: "application/json", Data: n,
	})
	if err != nil {
		return 0, &notify.Refused{Why: "the event can't be encoded", Err: err}
	}
	secrets, err := s.secrets()
	if err != nil {
		return 0, &notify.Down{Why: "the secret of the webhook can't be used", Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.URL, bytes.NewReader(body))
	if err != nil {
		return 0, &notify.Down{Why: "the URL of the webhook can't be used"}
	}
	req.Header.Set("Content-Type", "application/cloudevents+json; charset=UTF-8")
	req.Header.Set("User-Agent", s.o.UserAgent)
	secrets.sign(req.Header, messageID(n.ID), time.Now(), body)
	answer, err := s.client.Do(req)
	if err != nil {
		return 0, s.unreached(err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, maxBody) // the status is known
	return answer.StatusCode, s.classify(answer)
}

// secrets reads those that sign now.
func (s *Sender) secrets() (Secrets, error) {
	text, err := secretfile.Read(s.o.SecretFile)
	if err != nil {
		return nil, err
	}
	return ReadSecrets(text)
}

// messageID is the webhook-id of a notice: the same whenever it is posted, and without the full stop
// that separates the parts of what is signed. 144 bits are never the same by chance.
func messageID(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "msg_" + base64.RawURLEncoding.EncodeToString(sum[:18])
}

// Check reads the secret and connects, and sends nothing.
func (s *Sender) Check(ctx context.Context) error {
	if _, err := s.secrets(); err != nil {
		return fmt.Errorf("the secret of the webhook can't be used: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	port := s.url.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[s.url.Scheme]
	}
	conn, err := s.dialer.DialContext(ctx, "tcp", net.JoinHostPort(s.url.Hostname(), port))
	if err != nil {
		return s.unreached(err)
	}
	defer conn.Close()
	if s.url.Scheme == "https" {
		if err := tls.Client(conn, s.tls).HandshakeContext(ctx); err != nil {
			return s.unreached(err)
		}
	}
	return nil
}

// unreached says why there is no answer.
func (s *Sender) unreached(err error) error {
	if forbidden, ok := errors.AsType[*forbiddenError](err); ok {
		return &notify.Down{Why: s.url.Hostname() + " " + forbidden.Error()}
	}
	if whole, ok := errors.AsType[*url.Error](err); ok { // it has the URL in its text
		err = whole.Err
	}
	return &notify.Down{Why: "no answer from " + s.url.Host, Err: transport.Error{Cause: err}}
}

// classify says what an answer means for this notice and for others. Success is any 2xx, and everything
// else a failure; which statuses a sender throttles after, and what 410 means, is in Standard Webhooks
// 1.0.0, "Delivery success and failure".
func (s *Sender) classify(answer *http.Response) error {
	why := fmt.Sprintf("%s answered %d", s.url.Host, answer.StatusCode)
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusGone:
		return fmt.Errorf("%s: %w", why, notify.ErrGone)
	case code >= 300 && code < 400:
		return &notify.Down{Why: why + ": redirects are not followed"}
	case slices.Contains(eventStatuses, code):
		return errors.New(why)
	}
	return &notify.Down{Why: why, After: transport.RetryAfter(answer.Header, transport.ServerTime(answer.Header))}
}

// eventStatuses are statuses that say something about one event; with the others all would fail.
var eventStatuses = []int{
	http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity,
	http.StatusInternalServerError,
}
