package config

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pullprint/policy/strictyaml"
)

// What people take for a password is not shown where the name of its file belongs: not by the
// problem, and not by another one of the same line.
func TestPasswordNotShown(t *testing.T) {
	const office = office + "sign_in: {public_url: https://print.example.com}\n"
	const smtp = "notices: {mail: {from: a@contoso.com, smtp: {address: 'smtp.contoso.com:587', user: a, password_file: "
	const list = "[{name: helpdesk, role: operate, file: helpdesk-token}]"
	in := func(old, with string) string { return strings.Replace(office, old, with, 1) }
	for _, password := range []string{"PLANTED", "PLANTED!", "PLANTED/2+2=4", "the PLANTED, one", "PLANTED.Key9"} {
		quoted := `"` + password + `"`
		for name, src := range map[string]string{
			"mail":                 office + smtp + quoted + "}}}\n",
			"a line of its own":    office + "notices:\n  mail:\n    smtp:\n      password_file:\n        " + quoted,
			"another problem":      office + strings.Replace(smtp, "a@", "", 1) + quoted + "}}}\n",
			"a second file":        office + "nats: {credentials_file: /there/is, nkey_file: " + quoted + ", url: 'nats://a'}\n",
			"credentials":          office + "nats: {url: 'nats://a', credentials_file: " + quoted + "}\n",
			"key":                  office + "nats: {url: 'nats://a', tls: {cert_file: cert.pem, key_file: " + quoted + "}}\n",
			"admin token":          in("file: admin-token", "file: "+quoted),
			"badge key":            in("file: badge-key", "file: "+quoted),
			"named token":          in("file: helpdesk-token", "file: "+quoted),
			"list of tokens":       in(list, "\n    - file: "+quoted),
			"list, another":        in(list, "\n    - {file: "+quoted+", role: a}"),
			"client secret":        in("file: client-secret", "file: "+quoted),
			"folded client secret": in("file: client-secret", "file: >-\n    "+password),
		} {
			_, err := Load(writeOffice(t, src))
			if err == nil || strings.Contains(err.Error(), "PLANTED") {
				t.Errorf("%s, %s: %v", name, password, err)
			}
		}
	}
}

// A path is shown, as is a file that is there, and the name of a variable.
func TestPathShown(t *testing.T) {
	t.Setenv("PULLPRINT_TEST_SECRET", "PLANTED")
	for value, want := range map[string]string{
		"/run/secrets/smtp": "/run/secrets/smtp", "./smtp": "smtp", "../smtp": "smtp", "secrets/smtp": "secrets/smtp",
		"smtp.txt": "smtp.txt", "empty": "names an empty file", "${PULLPRINT_TEST_SECRET}": "${PULLPRINT_TEST_SECRET}",
	} {
		path := write(t, strings.Replace(minimal, "client-secret", value, 1))
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "empty"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		var ps strictyaml.Problems
		if !errors.As(err, &ps) || len(ps) != 1 || !strings.Contains(ps.Error(), want) ||
			!strings.Contains(ps[0].Source, value) || strings.Contains(ps.Error(), "PLANTED") {
			t.Errorf("%s: %v", value, err)
		}
	}
	inFolder := write(t, minimal)
	absent := filepath.Join(filepath.Dir(inFolder), "absent")
	if err := os.WriteFile(inFolder, []byte(strings.Replace(minimal, "client-secret", absent, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(inFolder); err == nil || !strings.Contains(err.Error(), "does not exist: "+absent) {
		t.Errorf("an absolute path: %v", err)
	}
}

// Whoever starts with config.example.yaml is told which file is missing.
func TestExampleFilesAreNamed(t *testing.T) {
	src, err := os.ReadFile("../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^[# ]*\w*(?:secret|passw|token|key)\w*_file: (\S+)`).FindAllStringSubmatch(string(src), -1)
	if len(found) < 10 {
		t.Fatalf("%d files with secrets: %q", len(found), found)
	}
	for _, f := range found {
		if !pathLike(f[1]) {
			t.Errorf("%s would not be shown", f[0])
		}
	}
}
