package bustest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// CA is a private certificate authority.
type CA struct {
	tb   testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes one.
func NewCA(tb testing.TB) *CA {
	tb.Helper()
	ca := &CA{tb: tb}
	ca.cert, ca.key = ca.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "CA of a test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	})
	return ca
}

// Write writes the certificate of the CA into a file.
func (ca *CA) Write(file string) string {
	ca.tb.Helper()
	writePEM(ca.tb, file, "CERTIFICATE", ca.cert.Raw)
	return file
}

// Issue writes a certificate for loopback, and its key, into dir.
func (ca *CA) Issue(dir, name string) (certFile, keyFile string) {
	ca.tb.Helper()
	cert, key := ca.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		ca.tb.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
	writePEM(ca.tb, certFile, "CERTIFICATE", cert.Raw)
	writePEM(ca.tb, keyFile, "PRIVATE KEY", der)
	return certFile, keyFile
}

func (ca *CA) sign(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	ca.tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.tb.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, by := ca.cert, ca.key
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		ca.tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		ca.tb.Fatal(err)
	}
	return cert, key
}

// SelfSigned is a certificate for a name, of a key by itself, that ends in a while or has ended.
func SelfSigned(tb testing.TB, name string, left time.Duration, key, public any) *x509.Certificate {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(left),
		KeyUsage: x509.KeyUsageDigitalSignature, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

func writePEM(tb testing.TB, file, kind string, der []byte) {
	tb.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// Operator signs accounts and users, as nsc does: what .creds files are of.
type Operator struct {
	tb                         testing.TB
	operator, account, systems nkeys.KeyPair
}

// NewOperator makes one with one account.
func NewOperator(tb testing.TB) *Operator {
	tb.Helper()
	o := &Operator{tb: tb}
	for to, make := range map[*nkeys.KeyPair]func() (nkeys.KeyPair, error){
		&o.operator: nkeys.CreateOperator, &o.account: nkeys.CreateAccount, &o.systems: nkeys.CreateAccount,
	} {
		kp, err := make()
		if err != nil {
			tb.Fatal(err)
		}
		*to = kp
	}
	return o
}

// Trust makes a server trust the operator and know its account.
func (o *Operator) Trust(opts *server.Options) {
	o.tb.Helper()
	known := &server.MemAccResolver{}
	limits := map[string]any{
		"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
		"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
	}
	for _, a := range []nkeys.KeyPair{o.account, o.systems} {
		if a == o.systems {
			delete(limits, "disk_storage")
			delete(limits, "mem_storage")
		}
		text := o.jwt(o.operator, a, time.Time{}, map[string]any{"limits": limits, "type": "account", "version": 2})
		if err := known.Store(o.public(a), text); err != nil {
			o.tb.Fatal(err)
		}
	}
	opts.TrustedKeys, opts.AccountResolver, opts.SystemAccount = []string{o.public(o.operator)}, known, o.public(o.systems)
}

// User writes the credentials of a new user of the account; with no end it is good
// for ever.
func (o *Operator) User(file string, end time.Time) string {
	o.tb.Helper()
	user, err := nkeys.CreateUser()
	if err != nil {
		o.tb.Fatal(err)
	}
	text := o.jwt(o.account, user, end,
		map[string]any{"subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2})
	if err := os.WriteFile(file, []byte("-----BEGIN NATS USER JWT-----\n"+text+"\n------END NATS USER "+
		"JWT------\n\n-----BEGIN USER NKEY SEED-----\n"+seed(o.tb, user)+"\n------END USER NKEY SEED------\n"),
		0o600); err != nil {
		o.tb.Fatal(err)
	}
	return file
}

func (o *Operator) jwt(by, of nkeys.KeyPair, end time.Time, nats map[string]any) string {
	o.tb.Helper()
	claims := map[string]any{
		"jti": o.public(of), "iat": time.Now().Unix(), "iss": o.public(by), "sub": o.public(of), "name": "test", "nats": nats,
	}
	if !end.IsZero() {
		claims["exp"] = end.Unix()
	}
	body, err := json.Marshal(claims)
	if err != nil {
		o.tb.Fatal(err)
	}
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte(`{"typ":"JWT","alg":"ed25519-nkey"}`)) + "." + enc.EncodeToString(body)
	sig, err := by.Sign([]byte(text))
	if err != nil {
		o.tb.Fatal(err)
	}
	return text + "." + enc.EncodeToString(sig)
}

func (o *Operator) public(kp nkeys.KeyPair) string {
	o.tb.Helper()
	pub, err := kp.PublicKey()
	if err != nil {
		o.tb.Fatal(err)
	}
	return pub
}

// Nkey writes the seed of a new user's nkey into a file and returns its public key.
func Nkey(tb testing.TB, file string) (public string) {
	tb.Helper()
	user, err := nkeys.CreateUser()
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(seed(tb, user)+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	if public, err = user.PublicKey(); err != nil {
		tb.Fatal(err)
	}
	return public
}

func seed(tb testing.TB, kp nkeys.KeyPair) string {
	tb.Helper()
	s, err := kp.Seed()
	if err != nil {
		tb.Fatal(err)
	}
	return string(s)
}
