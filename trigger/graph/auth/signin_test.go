package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"pullprint/trigger/graph"
	"pullprint/trigger/graph/auth"
	"pullprint/trigger/graph/graphtest"
)

const signInApp = "815f204f-c791-4ee6-9098-614ecdb003f6"

// pair is a self-signed certificate with its key, in files.
type pair struct {
	cert     *x509.Certificate
	key      *rsa.PrivateKey
	crt, pem string
}

func newPair(t *testing.T, from, to time.Time) pair {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pullprint"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := pair{cert, key, filepath.Join(dir, "app.crt"), filepath.Join(dir, "app.key")}
	write(t, p.crt, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, p.pem, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	return p
}

func write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func signIn(t *testing.T, sim *graphtest.Sim, a auth.Config) error {
	t.Helper()
	a.ClientID = signInApp
	c, err := graph.New(graph.Config{
		TenantID: sim.Tenant(), Endpoints: graph.Endpoints{
			Graph:     "http://127.0.0.1:9440/v1.0",
			Authority: "http://127.0.0.1:9440",
		}, Auth: a,
	}, graph.Options{Transport: sim.Transport()})
	if err != nil {
		return err
	}
	for range 2 { // an assertion can't be used twice
		if err := c.SignIn(t.Context()); err != nil {
			return err
		}
	}
	_, err = c.Definitions(t.Context())
	return err
}

// The app signs in with a certificate, that is read again when it changes; what is
// wrong with it is told with what to do.
func TestCertificate(t *testing.T) {
	now := time.Now()
	good, other := newPair(t, now.Add(-time.Hour), now.Add(time.Hour)), newPair(t, now.Add(-time.Hour), now.Add(time.Hour))
	expired, early := newPair(t, now.Add(-2*time.Hour), now.Add(-time.Hour)), newPair(t, now.Add(time.Hour), now.Add(2*time.Hour))
	sim := graphtest.New(graphtest.Calm())
	t.Cleanup(sim.Close)
	sim.AddApp(graphtest.App{ClientID: signInApp, Certificates: []*x509.Certificate{good.cert}})
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	odd := filepath.Join(t.TempDir(), "odd.key")
	write(t, odd, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	for name, c := range map[string]struct {
		auth auth.Config
		want string
	}{
		"good": {auth.Config{CertificateFile: good.crt, PrivateKeyFile: good.pem}, ""},
		"one nobody knows": {
			auth.Config{
				CertificateFile: other.crt,
				PrivateKeyFile:  other.pem,
			}, "AADSTS700027: the certificate is not one of the app registration",
		},
		"another's key":  {auth.Config{CertificateFile: good.crt, PrivateKeyFile: other.pem}, "no certificate and its unencrypted key"},
		"no key":         {auth.Config{CertificateFile: good.crt}, "auth.private_key_file is not set"},
		"no certificate": {auth.Config{PrivateKeyFile: good.pem}, "auth.certificate_file is not set"},
		"expired":        {auth.Config{CertificateFile: expired.crt, PrivateKeyFile: expired.pem}, "expired on "},
		"not yet":        {auth.Config{CertificateFile: early.crt, PrivateKeyFile: early.pem}, "check the clock"},
		"no such file": {
			auth.Config{CertificateFile: "/nowhere/app.crt", PrivateKeyFile: good.pem}, "read the certificate: open /nowhere/app.crt",
		},
		"a key of another": {auth.Config{CertificateFile: good.crt, PrivateKeyFile: odd}, "no certificate and its unencrypted key"},
		"two credentials": {
			auth.Config{CertificateFile: good.crt, PrivateKeyFile: good.pem, ManagedIdentity: true}, "2 kinds of credentials",
		},
		"no credential":       {auth.Config{}, "auth.client_secret_file is not set"},
		"a secret and others": {auth.Config{ClientSecretFile: odd, FederatedTokenFile: odd}, "2 kinds of credentials"},
	} {
		err := signIn(t, sim, c.auth)
		if (c.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%s: tells of the key: %v", name, err)
		}
	}
	c, err := graph.New(graph.Config{
		TenantID: sim.Tenant(), Endpoints: graph.Endpoints{Graph: "http://127.0.0.1:9440/v1.0", Authority: "http://127.0.0.1:9440"},
		Auth: auth.Config{ClientID: signInApp, CertificateFile: good.crt, PrivateKeyFile: good.pem},
	}, graph.Options{Transport: sim.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	sim.AddApp(graphtest.App{ClientID: signInApp, Certificates: []*x509.Certificate{other.cert}})
	if err := c.SignIn(t.Context()); err == nil {
		t.Error("a certificate that was taken away is good")
	}
	for from, to := range map[string]string{other.crt: good.crt, other.pem: good.pem} {
		src, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(t, to, src)
	}
	if err := c.SignIn(t.Context()); err != nil {
		t.Errorf("after the files changed: %v", err)
	}
}

// The assertion is signed as configured, names the certificate by its SHA-256, and is
// refused for what is wrong with the clock: that is told, and by how much.
func TestAssertion(t *testing.T) {
	now := time.Now()
	good := newPair(t, now.Add(-24*time.Hour), now.Add(24*time.Hour))
	k := graphtest.Calm()
	var alg string
	k.Intercept = func(op string, r graphtest.Request) graphtest.Fault {
		form, err := url.ParseQuery(string(r.Body))
		if op != graphtest.OpToken || err != nil {
			return graphtest.Fault{}
		}
		head, _, _ := strings.Cut(form.Get("client_assertion"), ".")
		raw, err := base64.RawURLEncoding.DecodeString(head)
		var h struct {
			Alg   string `json:"alg"`
			Thumb string `json:"x5t#S256"`
		}
		sum := sha256.Sum256(good.cert.Raw)
		if err != nil || json.Unmarshal(raw, &h) != nil || h.Thumb != base64.RawURLEncoding.EncodeToString(sum[:]) {
			t.Errorf("header %s", raw)
		}
		alg = h.Alg
		return graphtest.Fault{}
	}
	sim := graphtest.New(k)
	t.Cleanup(sim.Close)
	sim.AddApp(graphtest.App{ClientID: signInApp, Certificates: []*x509.Certificate{good.cert}})
	for conf, want := range map[string]string{"": "PS256", "PS256": "PS256", "RS256": "RS256"} {
		if err := signIn(t, sim, auth.Config{CertificateFile: good.crt, PrivateKeyFile: good.pem, AssertionAlg: conf}); err != nil ||
			alg != want {
			t.Errorf("%q: %s, %v", conf, alg, err)
		}
	}
	for ahead, want := range map[time.Duration]*regexp.Regexp{
		-12 * time.Minute: regexp.MustCompile(
			`AADSTS700024: the clock of this machine is 1[12]m\d+s ahead of the authority's: synchronize it with NTP`),
		12 * time.Minute: regexp.MustCompile(`AADSTS700024: the clock of this machine is 1[12]m\d+s behind the authority's: synchronize it with NTP`),
	} {
		sim.Change(func(k *graphtest.Knobs) { k.ClockAhead = ahead })
		if err := signIn(t, sim, auth.Config{CertificateFile: good.crt, PrivateKeyFile: good.pem}); err == nil ||
			!want.MatchString(err.Error()) {
			t.Errorf("%s ahead: %v, want %s", ahead, err, want)
		}
	}
}

// A token that somebody else signs stands for the app, and is read again.
func TestFederatedToken(t *testing.T) {
	now := time.Now()
	cluster := newPair(t, now, now.Add(time.Hour))
	sim := graphtest.New(graphtest.Calm())
	t.Cleanup(sim.Close)
	const issuer, subject = "https://oidc.contoso.com/cluster", "system:serviceaccount:print:pullprint"
	sim.AddApp(graphtest.App{
		ClientID: signInApp, Federation: []graphtest.Federation{{Issuer: issuer, Subject: subject, Key: &cluster.key.PublicKey}},
	})
	file := filepath.Join(t.TempDir(), "token")
	token := func(change func(jwt.MapClaims)) {
		claims := jwt.MapClaims{
			"iss": issuer, "sub": subject, "aud": "api://AzureADTokenExchange", "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		}
		change(claims)
		text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(cluster.key)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, []byte(text+"\n"))
	}
	for want, change := range map[string]func(jwt.MapClaims){
		"":             func(jwt.MapClaims) {},
		"AADSTS700211": func(c jwt.MapClaims) { c["iss"] = "https://elsewhere.example" },
		"AADSTS700213": func(c jwt.MapClaims) { c["sub"] = "system:serviceaccount:print:other" },
		"AADSTS700212": func(c jwt.MapClaims) { c["aud"] = "api://other" },
		"AADSTS700024": func(c jwt.MapClaims) { c["exp"] = now.Add(-time.Hour).Unix() },
	} {
		token(change)
		err := signIn(t, sim, auth.Config{FederatedTokenFile: file})
		var ae *auth.Error
		if (want == "") != (err == nil) || (err != nil && (!errors.As(err, &ae) || ae.Code != want || ae.Hint == "")) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := signIn(t, sim, auth.Config{FederatedTokenFile: filepath.Join(t.TempDir(), "none")}); err == nil ||
		!strings.Contains(err.Error(), "read the federated token") {
		t.Error(err)
	}
}

// A machine in Azure has its token from the metadata service.
func TestManagedIdentity(t *testing.T) {
	sim := graphtest.New(graphtest.Calm())
	t.Cleanup(sim.Close)
	sim.AddApp(graphtest.App{ClientID: signInApp})
	server := httptest.NewServer(sim.Metadata(signInApp))
	t.Setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", server.URL)
	if err := signIn(t, sim, auth.Config{ManagedIdentity: true}); err != nil {
		t.Error(err)
	}
	other := httptest.NewServer(sim.Metadata("another"))
	defer other.Close()
	t.Setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", other.URL)
	if err := signIn(t, sim, auth.Config{ManagedIdentity: true}); err == nil || !strings.Contains(err.Error(), "no such managed identity") {
		t.Error(err)
	}
	busy := httptest.NewServer(sim.Metadata(signInApp, http.StatusGone, http.StatusNotFound, http.StatusTooManyRequests,
		http.StatusServiceUnavailable))
	defer busy.Close()
	t.Setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", busy.URL)
	if err := signIn(t, sim, auth.Config{ManagedIdentity: true}); err != nil {
		t.Errorf("busy at first: %v", err)
	}
	server.Close()
	t.Setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", server.URL)
	if err := signIn(t, sim, auth.Config{ManagedIdentity: true}); err == nil ||
		!strings.Contains(err.Error(), "the metadata service of Azure does not answer") {
		t.Error(err)
	}
}
