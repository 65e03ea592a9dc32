package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
)

// ErrNotJSON says that an answer does not have the expected form. Its text does not repeat the
// answer.
var ErrNotJSON = errors.New("the answer is not the JSON that was expected")

// Error is a failed request. Errors of net/http can quote what the server sent, so only those
// known not to are repeated in its text.
type Error struct{ Cause error }

// Unwrap returns Cause.
func (e Error) Unwrap() error { return e.Cause }

// Error says what kind of failure it was.
func (e Error) Error() string {
	var (
		op        *net.OpError
		dns       *net.DNSError
		unknownCA x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		alert     tls.AlertError
		timeout   net.Error
	)
	switch {
	case errors.Is(e.Cause, ErrNotJSON):
		return ErrNotJSON.Error()
	case errors.Is(e.Cause, context.Canceled):
		return "gave up: canceled"
	case errors.Is(e.Cause, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(e.Cause, &dns):
		return "no such host, or no name server: " + dns.Name
	case errors.As(e.Cause, &unknownCA), errors.As(e.Cause, &host), errors.As(e.Cause, &invalid),
		errors.As(e.Cause, &alert):
		return "TLS failed: " + e.Cause.Error()
	case errors.As(e.Cause, &op):
		return op.Error()
	case errors.Is(e.Cause, http.ErrSchemeMismatch):
		return "the server speaks http, not https"
	case errors.Is(e.Cause, io.EOF), errors.Is(e.Cause, io.ErrUnexpectedEOF):
		return "the connection was closed"
	case errors.As(e.Cause, &timeout) && timeout.Timeout():
		return "no answer in time"
	}
	return "the connection failed"
}

// DialFailed reports whether err occurred before anything could be sent.
func DialFailed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
