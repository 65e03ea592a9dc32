package bus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"pullprint/trigger/graph/auth"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// The files by which an external server lets us in. They are read again at every
// connect, as every secret from a file: a byte order mark is left out, UTF-16 is named.

// userOf is the JWT of the user in a credentials file.
func userOf(file string) (string, error) {
	text, err := auth.SecretFile(file)
	if err != nil {
		return "", fmt.Errorf("nats.credentials_file: %w", err)
	}
	return nkeys.ParseDecoratedJWT([]byte(text))
}

// sign answers the server's challenge with the seed in a file.
func sign(key, file string, nonce []byte) ([]byte, error) {
	text, err := auth.SecretFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	pair, err := nkeys.ParseDecoratedNKey([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s: the file holds no seed of an nkey: %s", key, file)
	}
	defer pair.Wipe()
	return pair.Sign(nonce)
}

// publicKey is that of the user's nkey of which a file holds the seed.
func publicKey(file string) (string, error) {
	text, err := auth.SecretFile(file)
	if err != nil {
		return "", err
	}
	pair, err := nkeys.ParseDecoratedNKey([]byte(text))
	if err != nil {
		return "", errors.New("the file holds no seed of an nkey")
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil || !nkeys.IsValidPublicUserKey(public) {
		return "", errors.New("the file holds the seed of another kind of nkey than a user's")
	}
	return public, nil
}

// CheckNkey says what is wrong with a file that is to hold the seed of a user's
// nkey, without quoting from it.
func CheckNkey(file string) error {
	_, err := publicKey(file)
	return err
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
			pair, err := auth.KeyPair(t.CertFile, t.KeyFile)
			if err != nil {
				return pair, fmt.Errorf("nats.tls: %w", err)
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
	pem, err := auth.PEMFile(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("nats.tls.ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("nats.tls.ca_file holds no certificate in PEM: %s", t.CAFile)
	}
	return pool, nil
}
