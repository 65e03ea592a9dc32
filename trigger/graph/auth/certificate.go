package auth

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"software.sslmate.com/src/go-pkcs12"

	"pullprint/trigger/graph/transport"
	"pullprint/trigger/secretfile"
)

// PFX reports whether CertificateFile holds the certificate and its key together, as PKCS #12:
// its name then ends in .pfx or .p12.
func (c Config) PFX() bool {
	ext := strings.ToLower(filepath.Ext(c.CertificateFile))
	return ext == ".pfx" || ext == ".p12"
}

// assertionLife is how long an assertion is valid. It is used at once, so this leaves room for
// clocks that differ.
const assertionLife = 5 * time.Minute

// certificate is a certificate with its key, in PEM or as a PFX
// (https://learn.microsoft.com/entra/identity-platform/certificate-credentials).
type certificate struct {
	config   Config
	audience string

	key        *rsa.PrivateKey
	thumbprint string // SHA-256 of the certificate, base64url
}

func (c *certificate) read(now time.Time) error {
	private, leaf, err := c.load()
	if err != nil {
		return err
	}
	key, ok := private.(*rsa.PrivateKey)
	if !ok {
		return fmt.Errorf("the key in %s is no RSA key: Entra takes no other", c.keySetting())
	}
	if own, ok := leaf.PublicKey.(*rsa.PublicKey); !ok || !own.Equal(&key.PublicKey) {
		return fmt.Errorf("the key in %s is not that of the certificate in auth.certificate_file", c.keySetting())
	}
	sum := sha256.Sum256(leaf.Raw)
	c.key, c.thumbprint = key, base64.RawURLEncoding.EncodeToString(sum[:])
	if now.After(leaf.NotAfter) {
		return fmt.Errorf("the certificate in auth.certificate_file expired on %s: put a new one into the app "+
			"registration and into the file", leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	if now.Before(leaf.NotBefore) {
		return fmt.Errorf("the certificate in auth.certificate_file is valid from %s on: check the clock",
			leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// keySetting returns the setting that names the file of the key.
func (c *certificate) keySetting() string {
	if c.config.PFX() {
		return "auth.certificate_file"
	}
	return "auth.private_key_file"
}

func (c *certificate) fromPEM() (any, *x509.Certificate, error) {
	switch {
	case c.config.CertificateFile == "":
		return nil, nil,
			errors.New("auth.certificate_file is not set: name the file with the certificate of auth.private_key_file")
	case c.config.PrivateKeyFile == "":
		return nil, nil, errors.New("auth.private_key_file is not set: name the file with the key of auth.certificate_file")
	}
	pair, err := secretfile.KeyPair(c.config.CertificateFile, c.config.PrivateKeyFile)
	if err != nil {
		var missing *os.PathError
		if errors.As(err, &missing) || errors.Is(err, secretfile.ErrUTF16) {
			return nil, nil, fmt.Errorf("read the certificate: %w", err)
		}
		return nil, nil, errors.New("auth.certificate_file and auth.private_key_file are no certificate and its " +
			"unencrypted key, in PEM: a PFX needs no private_key_file, and has to be named .pfx")
	}
	return pair.PrivateKey, pair.Leaf, nil
}

// maxPFX is far more than a certificate with its chain and key takes, in bytes.
const maxPFX = 1 << 20

func (c *certificate) fromPFX() (any, *x509.Certificate, error) {
	if c.config.PrivateKeyFile != "" {
		return nil, nil, errors.New("auth.private_key_file is set, and auth.certificate_file is a PFX that has the key in " +
			"it: leave private_key_file out")
	}
	password := ""
	if file := c.config.CertificatePasswordFile; file != "" {
		var err error
		if password, err = readSecret("the password of the certificate", "auth.certificate_password_file", file,
			maxSecret); err != nil {
			return nil, nil, err
		}
	}
	st, err := os.Stat(c.config.CertificateFile)
	if err == nil && st.Size() > maxPFX {
		return nil, nil, errors.New("auth.certificate_file is too large for a PFX")
	}
	raw, err := os.ReadFile(c.config.CertificateFile)
	if err != nil {
		return nil, nil, fmt.Errorf("read the certificate: %w", err)
	}
	key, leaf, _, err := pkcs12.DecodeChain(raw, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword) && password == "":
		return nil, nil, errors.New("the PFX in auth.certificate_file has a password: put it into a file, and name that " +
			"in auth.certificate_password_file")
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, nil,
			errors.New("the password in auth.certificate_password_file is not that of the PFX in auth.certificate_file")
	case err != nil:
		return nil, nil,
			errors.New("auth.certificate_file is no PFX with one certificate and its key: export it again, with its private key")
	}
	return key, leaf, nil
}

// The ways to sign an assertion.
const (
	algPS256 = "PS256"
	algRS256 = "RS256"
)

// AssertionAlgs are the values of Config.AssertionAlg.
var AssertionAlgs = []string{algPS256, algRS256}

func (c *certificate) method() jwt.SigningMethod {
	if c.config.AssertionAlg == algRS256 {
		return jwt.SigningMethodRS256
	}
	return &jwt.SigningMethodRSAPSS{
		SigningMethodRSA: jwt.SigningMethodPS256.SigningMethodRSA,
		Options:          &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256},
	}
}

func (c *certificate) parameters(now time.Time) (string, url.Values, error) {
	if c.key == nil {
		return "", nil, errors.New("no certificate was read")
	}
	t := jwt.NewWithClaims(c.method(), jwt.MapClaims{
		"aud": c.audience, "iss": c.config.ClientID, "sub": c.config.ClientID, "jti": transport.NewGUID(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	t.Header["x5t#S256"] = c.thumbprint
	signed, err := t.SignedString(c.key)
	if err != nil {
		return "", nil, errors.New("the key in " + c.keySetting() + " can't sign")
	}
	return "", url.Values{"client_assertion_type": {assertionType}, "client_assertion": {signed}}, nil
}

// Certificate reads the certificate that authenticates the app, whether it is currently valid
// or not. The error says what is wrong with the files.
func (c Config) Certificate() (*x509.Certificate, error) {
	_, leaf, err := (&certificate{config: c}).load()
	return leaf, err
}

// load reads the certificate with its key.
func (c *certificate) load() (any, *x509.Certificate, error) {
	if c.config.PFX() {
		return c.fromPFX()
	}
	return c.fromPEM()
}
