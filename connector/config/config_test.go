package config

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pullprint/policy/strictyaml"
)

// minimal is the shortest file that is complete.
const minimal = `tenant_id: 84bd8158-6d4d-4958-8b9f-9d6445542f95
auth:
  client_id: 815f204f-c791-4ee6-9098-614ecdb003f6
  client_secret_file: client-secret
webhook:
  public_url: https://print.example.com
queues:
  - {printer_id: c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1, name: Follow-Me, mode: pull}
`

func load(t *testing.T, path string) *Config {
	t.Helper()
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := load(t, write(t, minimal))
	for _, v := range []struct{ key, got, want string }{
		{"cloud", c.Cloud, "global"},
		{"endpoints.graph", c.Endpoints.Graph, ""},
		{"trigger.definition", c.Trigger.Definition, "pullprint"},
		{"webhook.listen", c.Webhook.Listen, "127.0.0.1:8443"},
		{"webhook.tls.cert_file", c.Webhook.TLS.CertFile, ""},
		{"policy.file", c.Policy.File, ""},
		{"nats.url", c.NATS.URL, ""},
		{"nats.embedded.store_dir", c.NATS.Embedded.StoreDir, "/var/lib/pullprint/nats"},
		{"metrics.listen", c.Metrics.Listen, "127.0.0.1:9464"},
		{"log.level", c.Log.Level, "info"},
		{"log.format", c.Log.Format, "json"},
	} {
		if v.got != v.want {
			t.Errorf("%s = %q, want %q", v.key, v.got, v.want)
		}
	}
	if d := c.Queues[0].HoldFor; d != 24*time.Hour {
		t.Errorf("hold_for = %v", d)
	}
	// An empty value is as good as none.
	empty := load(t, write(t, minimal+"cloud:\ntrigger: {definition: \"\"}\nnats:\npolicy: {}\nlog: {level: \"\"}\n"))
	if empty.Cloud != c.Cloud || empty.Trigger != c.Trigger || empty.Log != c.Log || empty.NATS.Embedded == nil {
		t.Errorf("empty values read as %+v", empty)
	}
}

func TestExternalNATS(t *testing.T) {
	path := write(t, minimal+"nats:\n  url: nats://nats-1:4222, tls://nats-2:4222\n  credentials_file: client-secret\n  replicas: 3\n")
	want := NATS{URL: "nats://nats-1:4222, tls://nats-2:4222", CredentialsFile: filepath.Join(filepath.Dir(path),
		"client-secret"), Replicas: 3}
	if c := load(t, path); !reflect.DeepEqual(c.NATS, want) {
		t.Errorf("read %+v", c.NATS)
	}
}

func TestRelativePaths(t *testing.T) {
	path := write(t,
		minimal+"policy: {file: ./policy.yaml}\nnats: {embedded: {store_dir: ../store}}\nmetrics: {web_config_file: web.yaml}\n")
	dir := filepath.Dir(path)
	if err := os.WriteFile(filepath.Join(dir, "web.yaml"), []byte("basic_auth_users: {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir()) // not where the process is
	c := load(t, path)
	for got, want := range map[string]string{
		c.Auth.ClientSecretFile:  filepath.Join(dir, "client-secret"),
		c.Policy.File:            filepath.Join(dir, "policy.yaml"),
		c.Metrics.WebConfigFile:  filepath.Join(dir, "web.yaml"),
		c.NATS.Embedded.StoreDir: filepath.Join(filepath.Dir(dir), "store"),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if len(c.Warnings) != 1 || c.Warnings[0].Key != "metrics.web_config_file" {
		t.Errorf("warnings %v, want one of the passwords that all may read", c.Warnings)
	}
	abs := load(t, write(t, strings.Replace(minimal, "client-secret", filepath.Join(dir, "client-secret"), 1)))
	if abs.Auth.ClientSecretFile != filepath.Join(dir, "client-secret") {
		t.Errorf("an absolute path became %s", abs.Auth.ClientSecretFile)
	}
}

func TestMissingFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "config.yaml"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v does not wrap os.ErrNotExist", err)
	}
	// A file named in the configuration is another matter.
	path := write(t, minimal)
	if err := os.Remove(filepath.Join(filepath.Dir(path), "client-secret")); err != nil {
		t.Fatal(err)
	}
	if _, err = Load(path); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing secret looks like a missing configuration: %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("PULLPRINT_TEST_HOST", "print.example.com")
	t.Setenv("PULLPRINT_TEST_HOLD", "2h")
	t.Setenv("PULLPRINT_TEST_NESTED", "${PULLPRINT_TEST_HOST}")
	src := strings.Replace(minimal, "print.example.com", "${PULLPRINT_TEST_HOST}/a", 1)
	src = strings.Replace(src, "mode: pull", "mode: pull, hold_for: \"${PULLPRINT_TEST_HOLD}\"", 1)
	c := load(t, write(t, src+"trigger: {definition: \"a $${b} $c ${PULLPRINT_TEST_NESTED} $\"}\n"))
	if c.Webhook.PublicURL != "https://print.example.com/a" || c.Queues[0].HoldFor != 2*time.Hour {
		t.Errorf("read %s, %v", c.Webhook.PublicURL, c.Queues[0].HoldFor)
	}
	if want := "a ${b} $c ${PULLPRINT_TEST_HOST} $"; c.Trigger.Definition != want {
		t.Errorf("definition %q, want %q: a value is expanded once", c.Trigger.Definition, want)
	}
	// A variable that is there and empty is an empty value.
	t.Setenv("PULLPRINT_TEST_HOST", "")
	if _, err := Load(write(t, strings.Replace(minimal, "https://print.example.com", "${PULLPRINT_TEST_HOST}", 1))); err == nil ||
		!strings.Contains(err.Error(), "config.yaml:6:15: webhook.public_url is missing") {
		t.Errorf("an empty variable: %v", err)
	}
}

func TestOpenSecret(t *testing.T) {
	for mode, warned := range map[fs.FileMode]bool{
		0o600: false, 0o400: false, 0o440: false, 0o640: false, 0o644: true, 0o604: true, 0o660: true,
	} {
		path := write(t, minimal)
		secret := filepath.Join(filepath.Dir(path), "client-secret")
		if err := os.Chmod(secret, mode); err != nil {
			t.Fatal(err)
		}
		ws := load(t, path).Warnings
		if (len(ws) == 1) != warned || len(ws) > 1 {
			t.Errorf("mode %o: warnings %v", mode, ws)
		}
		for _, w := range ws {
			if w.File != secret || w.Key != "auth.client_secret_file" || w.Message == "" || w.Hint != "chmod 600 "+secret ||
				strings.Contains(w.String(), planted[0]) {
				t.Errorf("mode %o: %#v", mode, w)
			}
		}
	}
}

// A secret that ends up in the wrong place is not shown: neither when it stands
// in the file, nor when it comes from the environment.
func TestSecretNotShown(t *testing.T) {
	const secret = "PLANTED~Q8.aZ-0123456789_abcdefghijklmnop"
	t.Setenv("PULLPRINT_TEST_SECRET", secret)
	line := "client_secret_file: client-secret"
	for _, instead := range []string{
		"client_secret: " + secret,
		"client_secret_file: " + secret,
		"client_secret_file: \"" + secret + "\"",
		"client_secret_file: ${PULLPRINT_TEST_SECRET}",
		"client_secret: ${PULLPRINT_TEST_SECRET}",
		"clientSecret: " + secret,
		"password: " + secret,
		"token: {value: " + secret + "}",
		"\"secret\": " + secret,
		"client_secret_file: client-secret\nnats:\n  url: nats://" + secret + "@nats:4222",
		"client_secret_file: client-secret\nendpoints:\n  graph: https://a:" + secret + "@nats",
		"client_secret_file: client-secret\nlog: {level: ${PULLPRINT_TEST_SECRET}}",
		"client_secret_file: client-secret\ncloud: ${PULLPRINT_TEST_SECRET}",
		"client_secret_file: client-secret\nmetrics: {listen: \"${PULLPRINT_TEST_SECRET}\"}",
		"client_secret_file: client-secret\nnats: {replicas: \"${PULLPRINT_TEST_SECRET}\"}",
		"client_secret_file: client-secret\nnats: {embedded: {max_store: \"${PULLPRINT_TEST_SECRET}\"}}",
	} {
		_, err := Load(write(t, strings.Replace(minimal, line, instead, 1)))
		if err == nil {
			t.Errorf("%s: accepted", instead)
		} else if strings.Contains(err.Error(), "PLANTED") {
			t.Errorf("%s: shown\n%v", instead, err)
		}
	}
}

// What check prints as JSON reads back as the same problems.
func TestProblemsAsJSON(t *testing.T) {
	t.Chdir(filepath.Join("testdata", "bad"))
	for _, file := range []string{"many.yaml", "missing-everything.yaml", "bad-queue-name.yaml", "public-url-path.yaml"} {
		_, err := Load(file)
		var ps, back strictyaml.Problems
		if !errors.As(err, &ps) {
			t.Fatalf("%s: %v", file, err)
		}
		text, err := json.Marshal(ps)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ps, back) || ps.Error() != back.Error() {
			t.Errorf("%s: got %v, want %v", file, back, ps)
		}
	}
	text, err := json.Marshal(strictyaml.Problem{File: "f", Line: 2, Column: 3, Key: "a.b", Message: "m", Hint: "h", Source: "s"})
	if want := `{"file":"f","line":2,"column":3,"key":"a.b","message":"m","hint":"h","source":"s"}`; err != nil || string(text) != want {
		t.Errorf("got %s, %v, want %s", text, err, want)
	}
}
