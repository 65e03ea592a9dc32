// Package dial is how an external NATS server lets us in: credentials, certificates, and what a
// refusal means. It says of each failed connect what happened and what to do, and whether
// waiting may help. It quotes no key and no token.
package dial

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"pullprint/connector/bus/nkey"

	"github.com/nats-io/nats.go"
)

// ErrTooOld: the external server is older than 2.14.
var ErrTooOld = errors.New("NATS server is too old")

// Server is an external server or cluster, with what it lets us in by.
type Server struct {
	// URL may be several, separated by commas.
	URL string
	// CredentialsFile and NkeyFile exclude each other.
	CredentialsFile string
	NkeyFile        string
	TLS             TLS
}

// TLS configures connections to an external server. Its files are read again at
// every connect, so that a new certificate needs no restart.
type TLS struct {
	// CAFile are the certificates of the CA that signed the server's, instead of
	// the roots of this machine.
	CAFile string
	// CertFile and KeyFile are our own certificate, for servers that ask for one.
	CertFile string
	KeyFile  string
}

// Options are the options by which an external server lets us in: the only place
// that knows credentials and certificates.
func (c Server) Options() ([]nats.Option, error) {
	var opts []nats.Option
	if f := c.CredentialsFile; f != "" {
		opts = append(opts, nats.UserJWT(func() (string, error) { return userOf(f) },
			func(nonce []byte) ([]byte, error) { return sign("nats.credentials_file", f, nonce) }))
	}
	if f := c.NkeyFile; f != "" {
		public, err := nkey.PublicKey(f)
		if err != nil {
			return nil, fmt.Errorf("nats.nkey_file: %w", err)
		}
		opts = append(opts, nats.Nkey(public, func(nonce []byte) ([]byte, error) {
			return sign("nats.nkey_file", f, nonce)
		}))
	}
	if c.TLS.CAFile != "" || c.TLS.CertFile != "" {
		opts = append(opts, c.TLS.option)
	}
	return opts, nil
}

// CheckVersion refuses servers without atomic batches whose staging is sound.
func CheckVersion(version string) error {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	maj, err1 := strconv.Atoi(major)
	mnr, err2 := strconv.Atoi(minor)
	if err1 != nil || err2 != nil || maj < 2 || maj == 2 && mnr < 14 {
		return fmt.Errorf("%w: it is %q, want 2.14 or newer; upgrade it, or use nats.embedded", ErrTooOld, version)
	}
	return nil
}
