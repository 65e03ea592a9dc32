package dial

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

var (
	// ErrRefused: the external server does not let us in, or we don't trust it.
	// Waiting does not help; the error says what does.
	ErrRefused = errors.New("NATS connection refused")

	// ErrDenied: the server does not permit something that we need.
	ErrDenied = errors.New("NATS permission missing")
)

// Final reports whether a failed connect would fail again.
func Final(err error) bool {
	var address *url.Error // nats.url can't be parsed
	return errors.Is(err, ErrRefused) || errors.Is(err, errUnusable) || errors.As(err, &address)
}

// Explained says of a failed connect, in a sentence each, what happened and what
// to do. It quotes no key and no token.
func (c Server) Explained(err error) error {
	if errors.Is(err, errUnusable) {
		return err // it names the key, the file and what is wrong with it
	}
	what, remedy := c.refusal(err)
	if what == "" {
		return fmt.Errorf("connect to NATS at nats.url: %w (check that the server runs and can be reached)", err)
	}
	return fmt.Errorf("%w: %s; %s", ErrRefused, what, remedy)
}

// refusal is what happened and what to do; empty when nothing is known of err.
func (c Server) refusal(err error) (what, remedy string) {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAccountAuthExpired):
		return c.notLetIn(err)
	case errors.As(err, &authority):
		if c.TLS.CAFile == "" {
			return "the server's certificate is of a CA that this machine does not trust",
				"name the CA's certificate in nats.tls.ca_file"
		}
		return "the server's certificate is not of the CA in nats.tls.ca_file",
			"put the certificate of the CA there that signed the server's"
	case errors.As(err, &host):
		return "the server's certificate is for other names than the one in nats.url",
			"use a name that the certificate has, or have one made for this name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's certificate has expired, or the clock of this machine is wrong",
			"renew it on the NATS servers, or set the clock"
	case errors.As(err, &invalid):
		return "the server's certificate can't be used (" + invalid.Error() + ")",
			"have a server certificate made for the NATS servers"
	case clientCertificate.MatchString(err.Error()):
		if c.TLS.CertFile == "" {
			return "the server asks for a certificate of ours", "name one in nats.tls.cert_file and key_file"
		}
		return "the server does not take the certificate in nats.tls.cert_file",
			"have one made by the CA that the NATS servers trust, and look whether it has expired"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "nats.tls or tls:// asks for TLS, and the server does not speak it",
			"configure tls {} on the NATS servers, or take nats.tls out"
	case errors.Is(err, nats.ErrNkeysNotSupported):
		return "the server wants no nkey or credentials",
			"leave nats.nkey_file and nats.credentials_file out, or give our user an nkey on the server"
	case errors.Is(err, nats.ErrMaxAccountConnectionsExceeded):
		return "the account has as many connections as it may", "raise the limit of connections of the account"
	}
	return "", ""
}

// clientCertificate is how a server that wants another certificate of us ends the
// connection: with an alert, or before we could read it.
var clientCertificate = regexp.MustCompile(
	`remote error: tls: (certificate required|bad certificate|` +
		`unknown certificate|unknown certificate authority|expired certificate|handshake failure)|` +
		`connection closed by remote after TLS handshake`)

// notLetIn says why the server does not know us.
func (c Server) notLetIn(err error) (what, remedy string) {
	if at, ok := c.CredentialsEnd(); ok && time.Now().After(at) {
		return "the user in nats.credentials_file has expired on " + at.UTC().Format(time.RFC3339),
			"make new credentials for it (nsc generate creds) and put them into that file; they are read at every connect"
	}
	switch {
	case errors.Is(err, nats.ErrAccountAuthExpired):
		return "the account has expired", "have its operator renew it"
	case errors.Is(err, nats.ErrAuthRevoked):
		return "the server has revoked our user", "have new credentials made"
	case c.CredentialsFile != "":
		return "the server does not accept the user in nats.credentials_file", "have credentials made for a user of the " +
			"account that pullprint is to use; deploy/docs/cluster.md says which permissions it needs"
	case c.NkeyFile != "":
		return "the server does not know the nkey in nats.nkey_file", "give its public key (U…) to a user of the account " +
			"that pullprint is to use; deploy/docs/cluster.md says which permissions it needs"
	}
	return "the server lets nobody in without credentials", "set nats.credentials_file or nats.nkey_file"
}

// CredentialsEnd is when the user in the credentials file expires, if it does.
func (c Server) CredentialsEnd() (time.Time, bool) {
	if c.CredentialsFile == "" {
		return time.Time{}, false
	}
	jwt, err := userOf(c.CredentialsFile)
	if err != nil {
		return time.Time{}, false
	}
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	var claims struct {
		Expires int64 `json:"exp"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(raw, &claims) != nil || claims.Expires == 0 {
		return time.Time{}, false
	}
	return time.Unix(claims.Expires, 0), true
}

// violation is how the server tells which subject is not ours.
var violation = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]+)"`)

// Permission says of a violation which permission is missing.
func Permission(err error) error {
	m := violation.FindStringSubmatch(err.Error())
	if m == nil {
		return fmt.Errorf("%w: %w; deploy/docs/cluster.md lists what our user needs", ErrDenied, err)
	}
	verb := "publish to"
	if strings.EqualFold(m[1], "subscription") {
		verb = "subscribe to"
	}
	return fmt.Errorf("%w: our NATS user may not %s %s; give it that permission, deploy/docs/cluster.md lists all that "+
		"it needs", ErrDenied, verb, m[2])
}

// Denial hands a missing permission on to who waits for an answer that will not
// come because of it.
type Denial struct {
	mu   sync.Mutex // guards tell
	tell context.CancelCauseFunc
}

// Until is ctx, cancelled as well when a permission is missing, which is the
// cause then. One at a time.
func (d *Denial) Until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	d.mu.Lock()
	d.tell = cancel
	d.mu.Unlock()
	return ctx, func() {
		d.mu.Lock()
		d.tell = nil
		d.mu.Unlock()
		cancel(nil)
	}
}

// Denied ends the wait, if anybody waits.
func (d *Denial) Denied(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tell != nil {
		d.tell(err)
	}
}
