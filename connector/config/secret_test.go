package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pullprint/policy/strictyaml"
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
		if (c.want == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The same is said of every other file that a secret, a key or a certificate is read
// from.
func TestKeyFiles(t *testing.T) {
	const pair = "{cert_file: odd, key_file: odd}"
	for key, line := range map[string]string{
		"endpoints.ca_file":       "endpoints: {ca_file: odd}\n",
		"nats.credentials_file":   "nats: {url: 'nats://a', credentials_file: odd}\n",
		"nats.nkey_file":          "nats: {url: 'nats://a', nkey_file: odd}\n",
		"nats.tls.ca_file":        "nats: {url: 'nats://a', tls: {ca_file: odd}}\n",
		"nats.tls.key_file":       "nats: {url: 'nats://a', tls: " + pair + "}\n",
		"nats.tls.cert_file":      "nats: {url: 'nats://a', tls: " + pair + "}\n",
		"admin.tls.cert_file":     "admin: {listen: '127.0.0.1:8080', token_file: admin-token, tls: " + pair + "}\n",
		"admin.tls.key_file":      "admin: {listen: '127.0.0.1:8080', token_file: admin-token, tls: " + pair + "}\n",
		"administrator.key_file":  "administrator: {sign_in_file: sign-in, key_file: odd}\n",
		"metrics.web_config_file": "metrics: {web_config_file: odd}\n",
	} {
		path := write(t, minimal+line)
		for name, text := range map[string]string{"odd": "\xff\xfek\x00e\x00y\x00", "admin-token": "admin-0123456789abcdef"} {
			if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Load(path)
		var ps strictyaml.Problems
		if !errors.As(err, &ps) {
			t.Errorf("%s: %v", key, err)
			continue
		}
		if !slices.ContainsFunc(ps, func(p strictyaml.Problem) bool {
			return p.Key == key && (strings.Contains(p.Message, "UTF-16") || key == "metrics.web_config_file")
		}) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
