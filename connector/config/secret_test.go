package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A byte order mark is no part of a secret; what no secret can be read from is named by
// check, as it is when it is used.
func TestSecretFiles(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"mark":                    {"client-secret", "\ufeffs3cret\r\n", ""},
		"UTF-16":                  {"client-secret", "\xff\xfes\x003\x00", "UTF-16"},
		"UTF-16 without a mark":   {"client-secret", "s\x003\x00", "UTF-16"},
		"nothing but a mark":      {"client-secret", "\ufeff\r\n", "empty file"},
		"two lines":               {"client-secret", "s3cret\nanother\n", "more than one line"},
		"a token with a mark":     {"admin-token", "\ufeffadmin-0123456789abcdef\n\ufeffadmin-0123456789abcdeg", ""},
		"a token in UTF-16":       {"admin-token", "\xff\xfea\x00d\x00", "UTF-16"},
		"a badge key with a mark": {"badge-key", "\ufeff" + strings.Repeat("5a", 32) + "\n", ""},
		"a badge key in UTF-16":   {"badge-key", "\xff\xfe5\x00a\x00", "UTF-16"},
	} {
		path := writeOffice(t, office)
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), c.file), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if (c.want == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
