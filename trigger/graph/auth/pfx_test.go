package auth_test

import (
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
)

// A certificate with its key in one file, with and without a password, old and new
// ciphers; what is wrong with it is told with what to do, and never the password.
func TestPFX(t *testing.T) {
	now := time.Now()
	good, other := newPair(t, now.Add(-time.Hour), now.Add(time.Hour)), newPair(t, now.Add(-time.Hour), now.Add(time.Hour))
	expired := newPair(t, now.Add(-2*time.Hour), now.Add(-time.Hour))
	sim := graphtest.New(graphtest.Calm())
	t.Cleanup(sim.Close)
	sim.AddApp(graphtest.App{ClientID: signInApp, Certificates: []*x509.Certificate{good.cert}})
	dir := t.TempDir()
	put := func(name string, content []byte) string {
		name = filepath.Join(dir, name)
		write(t, name, content)
		return name
	}
	export := func(name string, enc *pkcs12.Encoder, p pair, password string) string {
		raw, err := enc.Encode(p.key, p.cert, []*x509.Certificate{other.cert}, password)
		if err != nil {
			t.Fatal(err)
		}
		return put(name, raw)
	}
	const word = "correct horse"
	password, wrong := put("password", []byte(word+"\n")), put("wrong", []byte("battery staple"))
	sealed := export("app.pfx", pkcs12.Modern2026, good, word)
	for name, c := range map[string]struct {
		auth auth.Config
		want string
	}{
		"today's": {auth.Config{CertificateFile: sealed, CertificatePasswordFile: password}, ""},
		"an older one": {
			auth.Config{CertificateFile: export("modern.PFX", pkcs12.Modern2023, good, word), CertificatePasswordFile: password}, "",
		},
		"an old one": {auth.Config{
			CertificateFile:         export("old.p12", pkcs12.LegacyDES, good, word),
			CertificatePasswordFile: password,
		}, ""},
		"no password": {auth.Config{CertificateFile: export("open.pfx", pkcs12.Passwordless, good, "")}, ""},
		"left out": {
			auth.Config{CertificateFile: sealed}, "has a password: put it into a file, and name that in auth.certificate_password_file",
		},
		"another": {
			auth.Config{CertificateFile: sealed, CertificatePasswordFile: wrong},
			"the password in auth.certificate_password_file is not that of the PFX",
		},
		"no such file": {
			auth.Config{CertificateFile: sealed, CertificatePasswordFile: filepath.Join(dir,
				"none")}, "read the password of the certificate",
		},
		"expired": {
			auth.Config{
				CertificateFile:         export("late.pfx", pkcs12.Modern2023, expired, word),
				CertificatePasswordFile: password,
			}, "expired on ",
		},
		"not a PFX": {
			auth.Config{CertificateFile: put("text.pfx", []byte("no")), CertificatePasswordFile: password},
			"is no PFX with one certificate and its key",
		},
		"with a key": {
			auth.Config{CertificateFile: sealed, CertificatePasswordFile: password, PrivateKeyFile: good.pem}, "leave private_key_file out",
		},
		"nobody's": {
			auth.Config{
				CertificateFile:         export("other.pfx", pkcs12.Modern2023, other, word),
				CertificatePasswordFile: password,
			}, "AADSTS700027",
		},
		"gone":         {auth.Config{CertificateFile: filepath.Join(dir, "gone.pfx")}, "read the certificate"},
		"a wrong name": {auth.Config{CertificateFile: good.crt, CertificatePasswordFile: password}, "auth.private_key_file is not set"},
		"only its name": {
			auth.Config{CertificateFile: put("pem.pfx", pem.EncodeToMemory(&pem.Block{
				Type:  "CERTIFICATE",
				Bytes: good.cert.Raw,
			}))}, "is no PFX",
		},
	} {
		err := signIn(t, sim, c.auth)
		if (c.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "horse") || strings.Contains(err.Error(), "staple")) {
			t.Errorf("%s: tells the password: %v", name, err)
		}
	}
}
