package deploy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/connector/bus/bustest"
	"pullprint/connector/config"
	"pullprint/policy/policyfile"
)

// topKey is a key at the outermost level of a YAML text, commented out or not.
var topKey = regexp.MustCompile(`(?m)^(?:# )?([a-z_]+):(?: |$)`)

// kindOf says as what a YAML fence is read: as configuration, as policy, or not at
// all, which its info string says or its first key.
func (c *checker) kindOf(f fence) string {
	if f.lang != "yaml" {
		return ""
	}
	for _, w := range f.words {
		if w == "config" || w == "policy" {
			return w
		}
	}
	if len(f.words) > 0 {
		return ""
	}
	m := topKey.FindStringSubmatch(f.body)
	switch {
	case m == nil:
	case slices.Contains(c.configKeys, m[1]):
		return "config"
	case slices.Contains(c.policyKeys, m[1]):
		return "policy"
	}
	return ""
}

// checkYAML reads fences of configuration and policy by the code that reads the
// files.
func (c *checker) checkYAML(tb testing.TB, p *page) (wrong []string) {
	for _, f := range p.fences {
		switch c.kindOf(f) {
		case "policy":
			if _, err := policyfile.Load("policy", []byte(f.body)); err != nil {
				wrong = append(wrong, p.at(f.line, "%v", err))
			}
		case "config":
			if err := loadPart(tb, f.body); err != nil {
				wrong = append(wrong, p.at(f.line, "%v", err))
			}
		}
	}
	return wrong
}

// around is what is put around a part of a configuration to make it whole, by key.
var around = []struct{ key, text string }{
	{"tenant_id", "tenant_id: 84bd8158-6d4d-4958-8b9f-9d6445542f95\n"},
	{"auth", "auth: {client_id: 815f204f-c791-4ee6-9098-614ecdb003f6, client_secret_file: client-secret}\n"},
	{"webhook", "webhook: {public_url: https://print.example.com}\n"},
	{"queues", `queues:
  - {printer_id: c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1, name: Follow-Me, mode: pull}
  - {printer_id: 2f3453b7-6d1c-4d3f-8a55-0f8f4f2f9f10, name: Poster, mode: direct}
`},
	{"badges", "badges: {key_file: badge-key}\n"},
	{"admin", "admin: {listen: 127.0.0.1:8080, token_file: admin-token}\n"},
	{"administrator", "administrator: {sign_in_file: administrator, key_file: administrator-key}\n"},
}

// named is a value that names a file or a folder.
var named = regexp.MustCompile(`\b(\w*file|store_dir|dir): *([^\s,}#]+)`)

// loadPart loads a part of a configuration, with what is missing around it and
// with the files that it names.
func loadPart(tb testing.TB, body string) error {
	dir, err := os.MkdirTemp("", "pullprint-docs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	text := body
	for _, part := range around {
		if !regexp.MustCompile(`(?m)^` + part.key + `:`).MatchString(body) {
			text += part.text
		}
	}
	text = named.ReplaceAllStringFunc(text, func(m string) string {
		key, name, _ := strings.Cut(m, ":")
		return key + ": " + strings.TrimPrefix(strings.TrimSpace(name), "/")
	})
	pair, err := selfSigned()
	if err != nil {
		return err
	}
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		if err := dummy(tb, dir, m[1], m[2], pair); err != nil {
			return err
		}
	}
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	_, err = config.Load(path)
	return err
}

// dummy writes a file such as a key of the configuration names; pair is for those of
// TLS.
func dummy(tb testing.TB, dir, key, name, pair string) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(name)) // another one for each: two devices never have one token
	content := base64.StdEncoding.EncodeToString(sum[:]) + "\n"
	switch ext := filepath.Ext(name); {
	case key == "sign_in_file", strings.HasSuffix(key, "dir"):
		return nil
	case key == "file" && ext == ".yaml", key == "shadow_file":
		content = "rules: []\n"
	case key == "secret_file":
		content = "whsec_" + content
	case key == "web_config_file":
		content = "{}\n"
	case key == "nkey_file":
		bustest.Nkey(tb, path)
		return nil
	case slices.Contains([]string{".pem", ".crt", ".key", ".cert"}, ext):
		content = pair
	}
	return os.WriteFile(path, []byte(content), 0o600)
}

// selfSigned is a certificate and its key, in PEM, one after the other.
func selfSigned() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	now := time.Now()
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "docs"}, NotBefore: now, NotAfter: now.Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}
