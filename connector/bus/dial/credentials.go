package dial

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"pullprint/connector/bus/nkey"
	"pullprint/trigger/secretfile"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// The files by which an external server lets us in. They are read again at every
// connect, as every secret from a file: a byte order mark is left out, UTF-16 is named.

// errUnusable: what a file holds can't be used, so that to connect again would fail again.
var errUnusable = errors.New("can't be used")

// unusable names the key of the configuration whose file can't be used.
func unusable(key string, err error) error { return fmt.Errorf("%s %w: %w", key, errUnusable, err) }

// userOf is the JWT of the user in a credentials file, which has to hold a seed as well:
// what sign says of that does not come through the client of NATS as an error of ours.
func userOf(file string) (string, error) {
	const key = "nats.credentials_file"
	text, err := secretfile.Read(file)
	if err != nil {
		return "", unusable(key, err)
	}
	jwt, err := nkeys.ParseDecoratedJWT([]byte(text))
	if err != nil || jwt == "" {
		return "", unusable(key, fmt.Errorf("the file holds no JWT of a user: %s", file))
	}
	pair, err := nkey.Pair(file)
	if err != nil {
		return "", unusable(key, fmt.Errorf("%w: %s", err, file))
	}
	pair.Wipe()
	return jwt, nil
}

// sign answers the server's challenge with the seed in a file.
func sign(key, file string, nonce []byte) ([]byte, error) {
	pair, err := nkey.Pair(file)
	if errors.Is(err, nkey.ErrNoSeed) {
		err = fmt.Errorf("%w: %s", err, file)
	}
	if err != nil {
		return nil, unusable(key, err)
	}
	defer pair.Wipe()
	return pair.Sign(nonce)
}

// option makes a connection use the certificates in the files.
func (t TLS) option(o *nats.Options) error {
	o.Secure = true
	if o.TLSConfig == nil {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if t.CAFile != "" {
		o.RootCAsCB = t.roots
	}
	if t.CertFile != "" {
		o.TLSCertCB = func() (tls.Certificate, error) {
			pair, err := secretfile.KeyPair(t.CertFile, t.KeyFile)
			if err != nil {
				return pair, unusable("nats.tls", err)
			}
			return pair, nil
		}
		if _, err := o.TLSCertCB(); err != nil {
			return err
		}
	}
	if t.CAFile != "" {
		if _, err := t.roots(); err != nil {
			return err
		}
	}
	return nil
}

func (t TLS) roots() (*x509.CertPool, error) {
	pem, err := secretfile.PEM(t.CAFile)
	if err != nil {
		return nil, unusable("nats.tls.ca_file", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, unusable("nats.tls.ca_file", fmt.Errorf("it holds no certificate in PEM: %s", t.CAFile))
	}
	return pool, nil
}
