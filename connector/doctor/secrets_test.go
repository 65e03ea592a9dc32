package doctor

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pullprint/connector/config"
)

// Keys of TLS and certificates, as text or not, are among what is looked for in all
// that leaves the house.
func TestSecretsOfKeys(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pfx := []byte{0x30, 0x82, 0xff, 0x00, 0x20, 0xfe, 'P', 'L', 'A', 'N', 'T', 'E', 'D'}
	var cfg config.Config
	cfg.Auth.CertificateFile = file("app.pfx", pfx)
	cfg.Webhook.TLS.KeyFile = file("hook.key", []byte("-----BEGIN PRIVATE KEY-----\nPLANTED-webhook\n"))
	cfg.Admin.TLS.KeyFile = file("admin.key", []byte("PLANTED-admin"))
	cfg.NATS.TLS.KeyFile = file("nats.key", []byte("PLANTED-nats"))
	got := secretsOf("", &cfg)
	for _, want := range []string{"PLANTED-webhook", "PLANTED-admin", "PLANTED-nats", base64.StdEncoding.EncodeToString(pfx)} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not looked for", want)
		}
	}
}
