package auth

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// What editors leave around a secret is no part of it; UTF-16 is named.
func TestSecretText(t *testing.T) {
	for in, want := range map[string]string{
		"s3cret": "s3cret", "s3cret\r\n": "s3cret", "\ufeffs3cret\n": "s3cret", " \ufeff s3cret\u200b\u2060\u00a0\n": "s3cret", "": "", "a b": "a b",
	} {
		if got, err := SecretText([]byte(in)); err != nil || got != want {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	for _, in := range []string{"\xff\xfes\x003\x00", "\xfe\xff\x00s\x003", "s\x003\x00"} {
		if got, err := SecretText([]byte(in)); !errors.Is(err, ErrUTF16) || got != "" {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("\ufeffs3cret\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readSecret("the secret", "auth.client_secret_file", file, maxSecret); err != nil || got != "s3cret" {
		t.Errorf("with a byte order mark: %q %v", got, err)
	}
}
