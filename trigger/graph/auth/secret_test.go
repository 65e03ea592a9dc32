package auth

import (
	"os"
	"path/filepath"
	"testing"
)

// What editors leave around a secret is no part of it.
func TestSecretOfEditors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("\ufeffs3cret\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readSecret("the secret", "auth.client_secret_file", file, maxSecret); err != nil || got != "s3cret" {
		t.Errorf("with a byte order mark: %q %v", got, err)
	}
}
