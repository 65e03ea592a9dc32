package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// problemsOf are the messages about a file.
func problemsOf(t *testing.T, src string) string {
	t.Helper()
	if _, err := Load(write(t, src)); err != nil {
		return err.Error()
	}
	return ""
}

// What is accepted as public_url must still be a URL once a path is added.
func TestPublicURL(t *testing.T) {
	for value, want := range map[string]string{
		"https://print.example.com":          "",
		"https://print.example.com/":         "",
		"https://print.example.com//":        "",
		"https://print.example.com:8443":     "",
		"https://print.example.com/a/b-1.0/": "",
		"https://10.0.0.1":                   "",
		"http://127.0.0.1:8443":              "",
		"http://[::1]:8443/a":                "",
		"http://localhost":                   "",
		"https://":                           "is not an https URL",
		"https://:8443":                      "is not an https URL",
		"https://print.example.com:0":        "is not an https URL",
		"https://print.example.com:99999":    "is not an https URL",
		"https://print.example.com:":         "is not an https URL",
		"https:print.example.com":            "is not an https URL",
		"print.example.com":                  "is not an https URL",
		"ftp://print.example.com":            "is not an https URL",
		"http://127.0.0.1.example.com":       "is http, not https",
		"http://localhost.example.com":       "is http, not https",
		"http://0.0.0.0":                     "is http, not https",
		"https://print.example.com?":         "has more than host and path",
		"https://print.example.com/a?b=c":    "has more than host and path",
		"https://print.example.com/#":        "has more than host and path",
		"https://me@print.example.com":       "has more than host and path",
		"https://print.example.com/a/../b":   "has a path that is rewritten",
		"https://print.example.com/a//b":     "has a path that is rewritten",
		"https://print.example.com/%2e%2e":   "has a path that is rewritten",
		"https://print.example.com/a b":      "has a path that is rewritten",
		"https://print.example.com/ümlaut":   "has a path that is rewritten",
		"https://a.b/graph/lifecycle":        "already has the path of the webhook",
		"https://a.b/x/graph/notifications/": "already has the path of the webhook",
	} {
		got := problemsOf(t, strings.Replace(minimal, "https://print.example.com", `"`+value+`"`, 1))
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

func TestOtherAddresses(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"endpoints: {graph: 'http://127.0.0.1:9440/v1.0', authority: 'http://127.0.0.1:9440'}", ""},
		{"endpoints: {graph: 'https://:1/v1.0'}", "endpoints.graph is not an http or https URL"},
		{"endpoints: {authority: 'https://login.example.com#'}", "endpoints.authority has more than host and path"},
		{"endpoints: {authority: 'http://login.example.com'}", "endpoints.authority is plain http"},
		{"nats: {url: 'nats://a:4222, tls://b'}", ""},
		{"nats: {url: 'nats://:4222'}", "nats.url is not a NATS address"},
		{"nats: {url: 'nats://a:4222,'}", "nats.url is not a NATS address"},
		{"nats: {url: 'nats://a:x'}", "nats.url is not a NATS address"},
		{"metrics: {listen: ':9464'}", ""},
		{"metrics: {listen: 'print-1.example.com:9464'}", ""},
		{"metrics: {listen: '[fe80::1%eth0]:9464'}", ""},
		{"metrics: {listen: '9464'}", "metrics.listen is not an address"},
		{"metrics: {listen: '127.0.0.1:+80'}", "metrics.listen is not an address"},
		{"metrics: {listen: '127.0.0.1:65536'}", "metrics.listen is not an address"},
		{"metrics: {listen: '127.0.0.1:http'}", "metrics.listen is not an address"},
		{"metrics: {listen: '1.2.3:80'}", "metrics.listen is not an address"},
		{"metrics: {listen: '999.0.0.1:80'}", "metrics.listen is not an address"},
		{"metrics: {listen: 'a_b/c:80'}", "metrics.listen is not an address"},
		{"metrics: {listen: 'http://127.0.0.1:80'}", "metrics.listen is not an address"},
	} {
		got := problemsOf(t, minimal+c.src+"\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.src, got, c.want)
		}
	}
}

// Two servers of one process must not want the same port of the same address,
// however it is written.
func TestSameAddressTwice(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1:1", "127.0.0.1:1", true},
		{"127.0.0.1:1", "127.0.0.1:2", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
		{":1", "127.0.0.1:1", true},
		{"0.0.0.0:1", "127.0.0.1:1", true},
		{"[::]:1", "127.0.0.1:1", true},
		{"0.0.0.0:1", "[::1]:1", false},
		{"0.0.0.0:1", "[::]:1", true},
		{"localhost:1", "127.0.0.1:1", true},
		{"localhost:1", "[::1]:1", false},
		{"127.0.0.1:1", "127.0.0.2:1", false},
		{"a.example.com:1", "A.example.com:1", true},
		{"a.example.com:1", "b.example.com:1", false},
	} {
		_, okA := parseListen(c.a)
		_, okB := parseListen(c.b)
		if !okA || !okB || clash(c.a, c.b) != c.want || clash(c.b, c.a) != c.want {
			t.Errorf("%s and %s: want %v", c.a, c.b, c.want)
		}
	}
}

// A file of a Windows editor begins with a byte order mark; it is no key.
func TestByteOrderMark(t *testing.T) {
	load(t, write(t, "\ufeff"+strings.ReplaceAll(minimal, "\n", "\r\n")))
	if got := problemsOf(t, "\ufeffcloud: china\n"+minimal); !strings.Contains(got,
		"config.yaml:1:8: Microsoft Graph in China has no print API") {
		t.Errorf("%s", got)
	}
}

func TestBraces(t *testing.T) {
	c := load(t, write(t, minimal+`trigger: {definition: "a $${b"}`+"\n"))
	if c.Trigger.Definition != "a ${b" {
		t.Errorf("read %q", c.Trigger.Definition)
	}
	for src, want := range map[string]string{
		`trigger: {definition: "a ${b"}`: "${ without its }",
		`trigger: {definition: ${HOME}}`: `stands in quotes: "${NAME}"`,
	} {
		if got := problemsOf(t, minimal+src+"\n"); !strings.Contains(got, want) {
			t.Errorf("%s: %s", src, got)
		}
	}
}

// The definition is found again by its name.
func TestDefinitionName(t *testing.T) {
	for name, ok := range map[string]bool{`pull print 2`: true, `Größe`: true, ` a`: false, `a `: false, `a\nb`: false, `a\tb`: false} {
		got := problemsOf(t, minimal+`trigger: {definition: "`+name+"\"}\n")
		if (got == "") != ok || !ok && !strings.Contains(got, "trigger.definition has") {
			t.Errorf("%q: %s", name, got)
		}
	}
}

// Whatever file holds a secret is warned of.
func TestOpenCredentials(t *testing.T) {
	for _, mode := range []fs.FileMode{0o600, 0o644} {
		path := write(t, minimal+"nats: {url: 'nats://a', credentials_file: nats.creds}\n")
		creds := filepath.Join(filepath.Dir(path), "nats.creds")
		if err := os.WriteFile(creds, []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(creds, mode); err != nil {
			t.Fatal(err)
		}
		ws := load(t, path).Warnings
		if (len(ws) == 1) != (mode == 0o644) || len(ws) == 1 && (ws[0].Key != "nats.credentials_file" || ws[0].File != creds) {
			t.Errorf("mode %o: %v", mode, ws)
		}
	}
}
