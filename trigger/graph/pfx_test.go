package graph_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"pullprint/trigger/graph"
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
		auth graph.Auth
		want string
	}{
		"today's":       {graph.Auth{CertificateFile: sealed, CertificatePasswordFile: password}, ""},
		"an older one":  {graph.Auth{CertificateFile: export("modern.PFX", pkcs12.Modern2023, good, word), CertificatePasswordFile: password}, ""},
		"an old one":    {graph.Auth{CertificateFile: export("old.p12", pkcs12.LegacyDES, good, word), CertificatePasswordFile: password}, ""},
		"no password":   {graph.Auth{CertificateFile: export("open.pfx", pkcs12.Passwordless, good, "")}, ""},
		"left out":      {graph.Auth{CertificateFile: sealed}, "has a password: put it into a file, and name that in auth.certificate_password_file"},
		"another":       {graph.Auth{CertificateFile: sealed, CertificatePasswordFile: wrong}, "the password in auth.certificate_password_file is not that of the PFX"},
		"no such file":  {graph.Auth{CertificateFile: sealed, CertificatePasswordFile: filepath.Join(dir, "none")}, "read the password of the certificate"},
		"expired":       {graph.Auth{CertificateFile: export("late.pfx", pkcs12.Modern2023, expired, word), CertificatePasswordFile: password}, "expired on "},
		"not a PFX":     {graph.Auth{CertificateFile: put("text.pfx", []byte("no")), CertificatePasswordFile: password}, "is no PFX with one certificate and its key"},
		"with a key":    {graph.Auth{CertificateFile: sealed, CertificatePasswordFile: password, PrivateKeyFile: good.pem}, "leave private_key_file out"},
		"nobody's":      {graph.Auth{CertificateFile: export("other.pfx", pkcs12.Modern2023, other, word), CertificatePasswordFile: password}, "AADSTS700027"},
		"gone":          {graph.Auth{CertificateFile: filepath.Join(dir, "gone.pfx")}, "read the certificate"},
		"a wrong name":  {graph.Auth{CertificateFile: good.crt, CertificatePasswordFile: password}, "auth.private_key_file is not set"},
		"only its name": {graph.Auth{CertificateFile: put("pem.pfx", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: good.cert.Raw}))}, "is no PFX"},
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

// An authority that only a file names is trusted, by calls and by the doctor.
func TestPrivateCA(t *testing.T) {
	sim := graphtest.New(graphtest.Calm())
	t.Cleanup(sim.Close)
	app := sim.AddApp(graphtest.App{ClientID: signInApp, Secret: "secret"})
	server := httptest.NewTLSServer(sim)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	secret, ca, text := filepath.Join(dir, "secret"), filepath.Join(dir, "ca.pem"), filepath.Join(dir, "text")
	write(t, secret, []byte(app.Secret))
	write(t, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	write(t, text, []byte("no certificate"))
	for file, want := range map[string]string{ca: "", "": "certificate signed by unknown authority", text: "endpoints.ca_file holds no certificate in PEM", filepath.Join(dir, "none"): "read endpoints.ca_file"} {
		cfg := graph.Config{
			TenantID: sim.Tenant(), Auth: graph.Auth{ClientID: signInApp, ClientSecretFile: secret},
			Endpoints: graph.Endpoints{Graph: server.URL + "/v1.0", Authority: server.URL, CAFile: file},
		}
		c, err := graph.New(cfg, graph.Options{})
		if err == nil {
			err = c.SignIn(t.Context())
		}
		if (want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", file, err, want)
		}
		hosts, err := graph.Reachable(t.Context(), cfg)
		if fine := err == nil && hosts[0].Step == "" && hosts[1].Step == ""; fine != (want == "") {
			t.Errorf("%q: reached %+v %v", file, hosts, err)
		}
	}
}
