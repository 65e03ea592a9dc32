package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pullprint/connector/admin/apiclient"
	"pullprint/connector/store"
	"pullprint/trigger/graph/graphtest"
)

// planted stand everywhere in an installation and in what its daemon tells; none of
// them may leave the house.
var planted = []string{
	// secrets
	"Pl4nted~Secret.of-the-App", "planted-token-of-the-administrator", "planted-token-of-the-reader",
	"planted-token-of-helpdesk",
	"5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e",
	"eyJhbGciOiJSUzI1NiJ9.eyJwbGFudGVkIjoxfQ.c2lnbmF0dXJl",
	"sig=Pl4ntedSignature", "Pl4ntedFromTheEnvironment",
	// people, in the forms in which they come
	"Ottokar", "Planted", "ottokar.planted@planted.example", "0ddba11a-1111-4222-8333-944445555666", "192.0.2.77",
	"2001:db8::77",
	"+41 44 555 66 77", "5556677",
	// cards, documents, groups
	"04A21BC3", "77732803", "Kündigung", "Lohnausweis-2026.pdf", "Klosterschule",
	// what is called by people
	"Pfarrhaus", "hq-2-pfarrhaus", "print.planted.example", "nats.planted.example", "color.planted", "not-for-ottokar",
	"/srv/ottokar",
	"planted-host", "helpdesk-planted", "Ordinary Print Queue",
}

// logged are lines as a daemon could write at its worst.
func logged() []string {
	line := func(fields map[string]any) string {
		text, err := json.Marshal(fields)
		if err != nil {
			panic(err)
		}
		return string(text)
	}
	all := []string{
		line(map[string]any{
			"level": "info", "time": "2026-03-10T12:00:00.123456789Z", "logger": "worker", "msg": "job decided", "job": "6",
			"queue": "Pfarrhaus",
			"owner": planted[10], "rule": "not-for-ottokar", "reason": "color.planted", "verdict": "abort",
			"instance": "planted-host-0a1b",
		}),
		line(map[string]any{
			"level": "error", "msg": "request failed", "error": "graph get_job: status 503 ServiceUnavailable (request-id " +
				"7f6e5d4c-1111-4222-8333-944445555666): Get \"https://planted.blob.core.windows.net/x?sig=Pl4ntedSignature\": dial tcp " +
				"192.0.2.77:443: connect: connection refused",
		}),
		line(map[string]any{
			"level": "warn", "msg": "Lohnausweis-2026.pdf of Ottokar Planted",
			"Pfarrhaus": map[string]any{"card": 77732803, "list": []any{"04A21BC3", 5556677, "Kündigung"}},
		}),
		line(map[string]any{
			"level": "error", "msg": "worker panicked", "panic": "string",
			"stack": "pullprint/connector.(*Worker).Handle\n\t/srv/ottokar/src/connector/worker.go:173",
		}),
		"panic: not JSON: Ottokar at 2001:db8::77 with eyJhbGciOiJSUzI1NiJ9.eyJwbGFudGVkIjoxfQ.c2lnbmF0dXJl\x00\xff {",
		`{"level":"info","msg":"cut off by Ottokar`,
	}
	for _, p := range planted {
		all = append(all, line(map[string]any{"msg": p, "error": "no such key: " + p, p: p}), p, `{"x":"`+p+`"} trailing `+p)
	}
	return all
}

// Names and secrets are planted in the configuration and its environment, in the
// policy, in Graph, in the log, the metrics and the state of the daemon: none is in
// the bundle, and what helps still is.
func TestBundleTellsNoNames(t *testing.T) {
	t.Setenv("PLANTED_ENVIRONMENT", "Pl4ntedFromTheEnvironment")
	n := plantedOffice(t)
	log := filepath.Join(filepath.Dir(n.config), "given.log")
	n.must(os.WriteFile(log, []byte(strings.Join(logged(), "\n")), 0o600))
	out := filepath.Join(filepath.Dir(n.config), "bundle.tar.gz")
	said, err := n.does("support-bundle", "--out", out, "--log", log)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(out); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	files := unpack(t, out)
	for _, name := range []string{
		"README.txt", "build.json", "findings.txt", "findings.json", "config.yaml", "policy.json", "daemon.json",
		"metrics.txt",
		"goroutines.txt", "log.jsonl", "given.jsonl",
	} {
		if len(files[name]) == 0 || !strings.Contains(said, name) {
			t.Errorf("%s is not there, or not told of", name)
		}
	}
	for name, text := range files {
		for _, p := range planted {
			if at := strings.Index(strings.ToLower(text), strings.ToLower(p)); at >= 0 {
				t.Errorf("%s has %q: …%s…", name, p, text[max(0, at-80):min(len(text), at+80)])
			}
		}
	}
	helps(t, files)
}

// helps fails when what is needed to help was taken out as well.
func helps(t *testing.T, files map[string]string) {
	t.Helper()
	for name, parts := range map[string][]string{
		"findings.txt": {
			"ok       rights         all that the configuration needs",
			"ok       daemon         it runs and is ready", "-> ",
		},
		"config.yaml": {"hold_for: 24h0m0s", "max_bytes: 16MiB", "mode: pull"},
		"policy.json": {`"at": "arrival"`, `in user.groups`, `"verdict": "abort"`},
		"daemon.json": {`"name": "PULLPRINT_TASKS"`, `"messages": 12`, "a durable write failed"},
		"metrics.txt": {`verdict="abort"`, "# HELP pullprint_decisions_total Decisions of Ordinary things."},
		"log.jsonl": {
			`"msg":"job decided"`,
			"graph get_job: status 503 ServiceUnavailable (request-id 7f6e5d4c-1111-4222-8333-944445555666)",
			"connect: connection refused", `"time":"2026-03-10T12:00:00.123456789Z"`, "pullprint/connector.(*Worker).Handle",
			"worker.go:173",
		},
	} {
		for _, part := range parts {
			if !strings.Contains(files[name], part) {
				t.Errorf("%s lacks %q:\n%s", name, part, tail(files[name], 3000))
			}
		}
	}
	// One name is the same everywhere.
	m := regexp.MustCompile(`"queue":"(name-[0-9a-f]{10})"`).FindStringSubmatch(files["log.jsonl"])
	if m == nil || !strings.Contains(files["config.yaml"], m[1]) || !strings.Contains(files["metrics.txt"], m[1]) ||
		!strings.Contains(files["findings.txt"], m[1]) {
		t.Errorf("the queue is called otherwise in each: %v", m)
	}
}

// plantedOffice is an installation whose every name is planted, with a daemon that
// tells what it should not.
func plantedOffice(t *testing.T) *patient {
	t.Helper()
	n := newPatient(t)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/diagnostics" || r.Header.Get("Authorization") != "Bearer planted-token-of-the-administrator" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(apiclient.Diagnostics{
			Version: "v1.0.0", Instance: "planted-host-0a1b",
			Readiness: []string{"[-] store: a durable write failed: nats.planted.example", "[-] Ottokar"},
			Streams: []store.StreamState{{
				Name: "PULLPRINT_TASKS", Messages: 12, Leader: "planted-host",
				Away: []string{"nats.planted.example"},
			}},
			Wrong:  "read stream: Ottokar",
			Stacks: "goroutine profile: total 1\n#\t0x1\tmain.main+0x1\t/srv/ottokar/src/main.go:1\n",
			Lines:  logged(),
			Metrics: "# HELP pullprint_decisions_total Decisions of Ordinary " +
				"things.\npullprint_decisions_total{queue=\"Pfarrhaus\",rule=\"not-for-ottokar\",reason=\"color.planted\"," +
				"verdict=\"abort\"} 5\nx{device=\"hq-2-pfarrhaus\",y=\"Ordinary Print Queue\"} 1\n",
		})
	}))
	t.Cleanup(api.Close)
	n.write("secret", "Pl4nted~Secret.of-the-App\n")
	n.write("admin-token", "planted-token-of-the-administrator\n")
	n.write("reader-token", "planted-token-of-the-reader\n")
	n.write("helpdesk-token", "planted-token-of-helpdesk\n")
	n.write("badge-key", planted[4])
	n.sim.AddApp(graphtest.App{ClientID: registerID, Secret: "Pl4nted~Secret.of-the-App"})
	const west = "9a3b3956-5a0e-4c5b-9d1a-61a1c2d3e4f5"
	n.sim.AddPrinter(graphtest.Printer{ID: west, DisplayName: "Drucker von Ottokar Planted"})
	n.edit("name: Follow-Me", "name: Pfarrhaus")
	n.edit("name: Poster", "name: Ordinary Print Queue")
	n.edit("nats:", fmt.Sprintf(`devices: [{id: hq-2-pfarrhaus, printer_id: %s, queues: [Pfarrhaus], token_file: reader-token}]
trigger: {definition: "${PLANTED_ENVIRONMENT}"}
badges: {key_file: badge-key}
policy: {file: policy.yaml}
admin: {listen: %q, token_file: admin-token, tokens: [{name: helpdesk-planted, role: operate, file: helpdesk-token}]}
nats:`, west, strings.TrimPrefix(api.URL, "http://")))
	n.write("policy.yaml", `rules:
  - {name: not-for-ottokar, at: arrival, when: '"Klosterschule" in user.groups || user.upn == "ottokar.planted@planted.example"', verdict: abort, reason: color.planted,
     text: 'Ask Ottokar Planted, +41 44 555 66 77.', remedy: 'Write to ottokar.planted@planted.example.'}
allowances: [{name: klosterschule, when: '"Klosterschule" in user.groups', pages: 5, every: week}]
unmatched: free
`)
	user := n.sim.AddUser(graphtest.User{
		ID: "0ddba11a-1111-4222-8333-944445555666", UPN: "ottokar.planted@planted.example", DisplayName: "Ottokar Planted",
		Groups: []graphtest.Group{{DisplayName: "Klosterschule"}},
	})
	_, err := n.sim.Submit(graphtest.JobSpec{Printer: queueA, User: user.ID})
	n.must(err)
	n.daemon(200, "[+] store: ok\nready\n")
	return n
}

// unpack reads a bundle.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	files, r := map[string]string{}, tar.NewReader(z)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(h.Name, "pullprint-support/")] = string(text)
	}
}
