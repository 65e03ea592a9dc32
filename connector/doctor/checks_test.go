package doctor

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/trigger/graph"
)

// expect fails unless exactly these findings were made, in this order, each with a remedy
// unless it is ok. A finding is written as "result about: beginning of the text".
func expect(t *testing.T, got Report, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d findings, want %d:\n%v", len(got), len(want), got)
	}
	for i, f := range got {
		if line := f.Result + " " + f.About + ": " + f.Text; !strings.HasPrefix(line, want[i]) {
			t.Errorf("finding %d is %q, want %q", i, line, want[i])
		}
		if (f.Result == OK) != (f.Do == "") {
			t.Errorf("finding %d, %s: the remedy is %q", i, f.Result, f.Do)
		}
	}
}

// written is a file in a folder of its own.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCertificateDates(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := time.Now()
	soon := now.Add(3*day + time.Hour).UTC().Format(time.DateOnly)
	for name, c := range map[string]struct {
		from, until time.Duration
		want        string
	}{
		"valid":         {-day, 90 * day, "ok certificate: webhook.tls until "},
		"ends soon":     {-day, 3*day + time.Hour, "warning certificate: webhook.tls ends on " + soon + ", in 3 days"},
		"expired":       {-90 * day, -time.Hour, "failed certificate: webhook.tls expired on "},
		"not valid yet": {day, 90 * day, "failed certificate: webhook.tls is valid from "},
	} {
		ds := &diagnostics{}
		leaf := &x509.Certificate{NotBefore: now.Add(c.from), NotAfter: now.Add(c.until)}
		ds.valid("certificate", "webhook.tls", leaf, "renew it")
		t.Run(name, func(t *testing.T) { expect(t, ds.all, c.want) })
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	cfg := &config.Config{}
	cfg.Auth.CertificateFile, cfg.Auth.PrivateKeyFile = missing, missing
	cfg.Webhook.TLS.CertFile, cfg.Webhook.TLS.KeyFile = missing, missing
	cfg.Badges.KeyFile = missing
	ds := &diagnostics{Options: Options{Config: cfg}}
	ds.files(t.Context())
	expect(t, ds.all, "failed certificate: ", "failed certificate: webhook.tls: ", "failed badges: badges.key_file: ")
	ds.all, cfg.Auth.CertificateFile, cfg.Webhook.TLS.CertFile = nil, "", ""
	cfg.Badges.KeyFile = written(t, strings.Repeat("5a", 32))
	ds.files(t.Context())
	expect(t, ds.all, "ok badges: the key can be read")
}

func TestPolicyTests(t *testing.T) {
	t.Parallel()
	const rule = "rules: [{name: a, at: arrival, when: 'true', verdict: abort, reason: a.b, text: No., remedy: Ask.}]\n"
	const test = "tests: [{name: one, at: arrival, expect: {verdict: %s}}]\n"
	for name, c := range map[string]struct{ text, want string }{
		"no tests":      {rule, "ok policy: it loads; it has no tests"},
		"one passes":    {rule + fmt.Sprintf(test, "abort"), "ok policy: 1 test passed"},
		"one fails":     {rule + fmt.Sprintf(test, "complete"), "failed policy: 1 test failed"},
		"does not load": {"rules: 7\n", "failed policy: "},
	} {
		t.Run(name, func(t *testing.T) {
			ds := &diagnostics{}
			ds.tests("policy", written(t, c.text))
			expect(t, ds.all, c.want)
		})
	}
	ds := &diagnostics{}
	ds.tests("shadow policy", filepath.Join(t.TempDir(), "missing"))
	expect(t, ds.all, "failed shadow policy: open ")
}

// listening is a port of this machine that somebody listens on.
func listening(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

// free is a port of this machine that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestPorts(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{}
	cfg.Webhook.Listen, cfg.Metrics.Listen = free(t), free(t)
	ds := &diagnostics{Options: Options{Config: cfg}}
	ds.ports(t.Context())
	expect(t, ds.all, "ok ports: all are free")

	taken := listening(t)
	ds.all, cfg.Webhook.Listen, cfg.Admin.Listen = nil, taken, "192.0.2.1:8080" // of no machine
	ds.ports(t.Context())
	expect(t, ds.all, "failed ports: webhook.listen: ", "failed ports: admin.listen: ")
	if !strings.Contains(ds.all[0].Do, "another program has it") || !strings.Contains(ds.all[1].Do, "no such address") {
		t.Errorf("%+v", ds.all)
	}

	ds.all, cfg.Admin.Listen = nil, ""
	ds.openPorts(t.Context())
	expect(t, ds.all, "ok ports: the daemon listens on all of them")
	ds.all, cfg.Webhook.Listen = nil, free(t)
	ds.openPorts(t.Context())
	expect(t, ds.all, "failed ports: webhook.listen: ")
}

func TestDaemonAnswers(t *testing.T) {
	t.Parallel()
	build := daemon.ReadBuild()
	ours := fmt.Sprintf("pullprint_build_info{revision=%q,version=%q} 1\n", build.Revision, build.Version)
	const other = `pullprint_build_info{revision="abc",version="v0.0.1"} 1` + "\n"
	const well = "ok ports: the daemon listens on all of them"
	for name, c := range map[string]struct {
		status      int
		body, build string
		want        []string
	}{
		"ready": {200, "[+] store: ok\nready\n", ours, []string{"ok daemon: it runs and is ready", "ok version: ", well}},
		"advice": {
			200, "[!] policy: no rules\nready\n", ours,
			[]string{"ok daemon: ", "warning daemon: policy: no rules", "ok version: ", well},
		},
		"older": {200, "ready\n", other, []string{"ok daemon: ", "warning version: this program is ", well}},
		"not ready": {503, "[-] store: full\n[-] graph: out\nnot ready\n", ours, []string{
			"failed daemon: not ready: store: full", "failed daemon: not ready: graph: out", "ok version: ", well,
		}},
		"guarded":   {401, "Unauthorized", "", []string{"warning daemon: metrics.listen answers with status 401"}},
		"another":   {200, "<html>welcome", "", []string{"failed daemon: another program answers at metrics.listen, "}},
		"not found": {404, "", "", []string{"failed daemon: another program answers at metrics.listen, "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/metrics" {
					fmt.Fprint(w, "# HELP\n"+c.build)
					return
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}))
			defer server.Close()
			cfg := &config.Config{}
			cfg.Metrics.Listen = strings.TrimPrefix(server.URL, "http://")
			cfg.Webhook.Listen = cfg.Metrics.Listen
			ds := &diagnostics{Options: Options{Config: cfg}}
			ds.daemon(t.Context())
			expect(t, ds.all, c.want...)
			if want := c.status == 503 || strings.HasSuffix(c.body, "ready\n"); ds.runs != want {
				t.Errorf("runs: %t", ds.runs)
			}
		})
	}
	cfg := &config.Config{}
	cfg.Metrics.Listen, cfg.Webhook.Listen = free(t), free(t)
	ds := &diagnostics{Options: Options{Config: cfg}}
	ds.daemon(t.Context())
	expect(t, ds.all, "warning daemon: it does not run on this machine", "ok ports: all are free")
}

// A folder that can't be made stands for every path that the daemon can't write: the tests
// may run as root, who may write everywhere else.
func TestPathsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	file := written(t, "no folder")
	cfg := &config.Config{NATS: config.NATS{Embedded: &config.EmbeddedNATS{StoreDir: filepath.Join(file, "nats")}}}
	cfg.Metrics.Listen = free(t)
	cfg.LedgerExport.Dir = filepath.Join(file, "export")
	cfg.Administrator.SignInFile = filepath.Join(file, "sign-in")
	ds := &diagnostics{Options: Options{Config: cfg}}
	ds.usable(t.Context())
	ds.written(t.Context())
	expect(t, ds.all, "failed store: ", "failed ledger export: ledger_export.dir: ",
		"failed administrator: administrator.sign_in_file: ")

	dir := t.TempDir()
	cfg.NATS.Embedded.StoreDir = filepath.Join(dir, "nats")
	cfg.LedgerExport.Dir, cfg.Administrator.SignInFile = dir, filepath.Join(dir, "sign-in")
	ds.all = nil
	ds.usable(t.Context())
	ds.written(t.Context())
	expect(t, ds.all, "ok store: embedded in the daemon, one copy: ", "ok ledger export: its folder can be written")

	if err := os.WriteFile(cfg.NATS.Embedded.StoreDir+".mark", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	ds.all = nil
	ds.usable(t.Context())
	expect(t, ds.all, "failed store: read the mark of the store: ")
}

func TestPermissionAdvice(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		http.StatusForbidden:          grantAdvice,
		http.StatusServiceUnavailable: "try again in a few minutes",
		http.StatusBadRequest:         "look up the code",
	} {
		if got := permissionAdvice(&graph.Error{Status: status}); !strings.HasPrefix(got, want) {
			t.Errorf("%d: %s", status, got)
		}
	}
}
