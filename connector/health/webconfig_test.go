package health

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// users lets prometheus in with the password "correct horse".
const users = "basic_auth_users: {prometheus: $2a$04$YhxFlqpOjk9dApN9agaJYuI9jz3AfSaCIswFluDXDhlg7eJ.sDM7K}\n"

// site is a folder with a web configuration and its certificates.
type site struct {
	dir, file string
	roots     *x509.CertPool
	client    tls.Certificate
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), roots: x509.NewCertPool()}
	s.file = filepath.Join(s.dir, "web.yaml")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// One self-signed certificate is authority, server and client at once.
	spec := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pullprint.example"}, DNSNames: []string{"pullprint.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, spec, spec, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert, private := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	s.write(t, "tls.crt", string(cert))
	s.write(t, "tls.key", string(private))
	s.roots.AppendCertsFromPEM(cert)
	if s.client, err = tls.X509KeyPair(cert, private); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serve serves metrics by the web configuration and returns its address.
func (s *site) serve(t *testing.T) string {
	t.Helper()
	m, err := NewServer(ServerOptions{
		Gatherer: prometheus.NewRegistry(), Health: New(), WebConfigFile: s.file, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// ask returns the status of a request; 0 when there was no answer.
func (s *site) ask(t *testing.T, url, password string, certs ...tls.Certificate) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: s.roots, ServerName: "pullprint.example", Certificates: certs},
	}}
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		req.SetBasicAuth("prometheus", password)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

// Passwords hold for every page, the probes too, and are read again when they change.
func TestWebConfigPassword(t *testing.T) {
	s := newSite(t)
	s.write(t, "web.yaml", users)
	base := "http://" + s.serve(t)
	for _, page := range []string{"/metrics", "/healthz", "/readyz", "/"} {
		if none, wrong, right := s.ask(t, base+page, ""), s.ask(t, base+page, "wrong"), s.ask(t, base+page, "correct horse"); none != 401 ||
			wrong != 401 || right != 200 {
			t.Errorf("%s: without a password %d, with a wrong one %d, with the right one %d", page, none, wrong, right)
		}
	}
	// One that is emptied or gone is no word of anybody that all may come in.
	for _, text := range []string{"", "\n# to be written\n"} {
		s.write(t, "web.yaml", text)
		if code := s.ask(t, base+"/metrics", ""); code != http.StatusServiceUnavailable {
			t.Errorf("with %q in the file: %d", text, code)
		}
	}
	if err := os.Remove(s.file); err != nil {
		t.Fatal(err)
	}
	if code := s.ask(t, base+"/metrics", ""); code < 500 {
		t.Errorf("without the file: %d", code)
	}
	s.write(t, "web.yaml", "{}\n")
	if code := s.ask(t, base+"/metrics", ""); code != 200 {
		t.Errorf("after the passwords were taken out: %d", code)
	}
}

// TLS with certificates of clients: none, no answer.
func TestWebConfigTLS(t *testing.T) {
	s := newSite(t)
	s.write(t, "web.yaml", "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n")
	base := "https://" + s.serve(t)
	if code := s.ask(t, base+"/metrics", ""); code != 200 {
		t.Errorf("over TLS: %d", code)
	}
	s.write(t, "web.yaml", "tls_server_config: {cert_file: tls.crt, key_file: tls.key, client_auth_type: RequireAndVerifyClientCert, "+
		"client_ca_file: tls.crt}\n")
	if code := s.ask(t, base+"/metrics", ""); code != 0 {
		t.Errorf("without a certificate: %d", code)
	}
	if code := s.ask(t, base+"/metrics", "", s.client); code != 200 {
		t.Errorf("with a certificate: %d", code)
	}
}

// What is wrong is said, and no hash, password or key with it.
func TestCheckWebConfig(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no hash", "basic_auth_users: {prometheus: PLANTED-password}\n", "no bcrypt hash"},
		{"short hash", "basic_auth_users: {prometheus: $2a$04$PLANTED}\n", "no bcrypt hash"},
		{"no mapping", "basic_auth_users: PLANTED-password\n", "line 1"},
		{"unknown key", "tls_config: {}\n", "field tls_config not found"},
		{"no certificate", "tls_server_config: {cert_file: absent.crt, key_file: tls.key}\n", "absent.crt"},
		{"no key", "tls_server_config: {cert_file: tls.crt}\n", "missing one of key or key_file"},
		{
			"client CA unused", "tls_server_config: {cert_file: tls.crt, key_file: tls.key, client_ca_file: tls.crt}\n",
			"without a Client Auth " +
				"Policy",
		},
	} {
		s := newSite(t)
		s.write(t, "web.yaml", c.text)
		err := CheckWebConfig(s.file)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q in one line", c.name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "PLANTED") {
			t.Errorf("%s: shows a secret: %v", c.name, err)
		}
		if _, err := NewServer(ServerOptions{
			Gatherer: prometheus.NewRegistry(), Health: New(), WebConfigFile: s.file, Logger: zap.NewNop(),
		}); err == nil {
			t.Errorf("%s: served", c.name)
		}
	}
	if err := CheckWebConfig(""); err != nil {
		t.Error(err)
	}
}

// What the toolkit logs keeps its level, its words and its fields.
func TestBridge(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	log := slog.New(bridge{zap.New(core)})
	log.With("address", "127.0.0.1:9464").Error("Unable to parse configuration", "err", "line 3")
	log.Info("TLS is enabled.", "http2", true)
	all := logs.All()
	if len(all) != 2 || all[0].Level != zapcore.ErrorLevel || all[0].Message != "unable to parse configuration" ||
		all[1].Level != zapcore.DebugLevel {
		t.Fatalf("%+v", all)
	}
	if f := all[0].ContextMap(); f["err"] != "line 3" || f["address"] != "127.0.0.1:9464" {
		t.Errorf("fields %v", f)
	}
	quiet, _ := observer.New(zapcore.WarnLevel)
	if (bridge{zap.New(quiet)}).Enabled(t.Context(), slog.LevelInfo) {
		t.Error("says at warn what is debug")
	}
}
