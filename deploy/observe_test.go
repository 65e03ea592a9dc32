package deploy

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/connector/config"
	"pullprint/connector/daemon"
	"pullprint/trigger/graph/graphtest"
)

// metric is what the program says of one of its metrics.
type metric struct {
	typ    string // counter, gauge, histogram; empty while it has no series
	labels []string
}

// metricsConfig is a configuration that has every part that has metrics.
const metricsConfig = `tenant_id: %s
endpoints: {graph: "http://127.0.0.1:9440/v1.0", authority: "http://127.0.0.1:9440"}
auth: {client_id: 815f204f-c791-4ee6-9098-614ecdb003f6, client_secret_file: secret}
webhook: {listen: "127.0.0.1:1", public_url: "http://127.0.0.1:1"}
queues:
  - {printer_id: c05f3726-0d4b-4c21-9d6e-0a8a57b1b3a1, name: Follow-Me, mode: pull}
devices:
  - {id: hq-2-west, printer_id: 9a3b3956-5a0e-4c5b-9d1a-61a1c2d3e4f5, queues: [Follow-Me], token_file: reader}
policy: {file: policy.yaml, shadow_file: next.yaml}
badges: {key_file: key}
administrator: {sign_in_file: sign-in, key_file: key}
selftest: {queue: Follow-Me, user: 5b0c3a9e-0009-4c1d-8a2b-3c4d5e6f7089}
nats: {embedded: {store_dir: nats, max_store: 64MiB}}
admin: {listen: "127.0.0.1:2", token_file: token}
metrics: {listen: "127.0.0.1:3"}
`

// programMetrics are those of a daemon that runs, by name.
func programMetrics(t *testing.T) map[string]metric {
	t.Helper()
	sim := graphtest.New(graphtest.Calm())
	defer sim.Close()
	sim.AddApp(graphtest.App{ClientID: "815f204f-c791-4ee6-9098-614ecdb003f6", Secret: "secret-of-the-simulator"})
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config.yaml": fmt.Sprintf(metricsConfig,
			sim.Tenant()), "secret": "secret-of-the-simulator", "token": "token-of-16-characters",
		"reader":      "another-of-16-characters",
		"policy.yaml": "rules: []\n", "next.yaml": "rules: []\n", "key": "WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(filepath.Join(dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	reg, started, ended := prometheus.NewRegistry(), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- daemon.Run(ctx, daemon.Options{
			Config: cfg, Logger: zap.NewNop(), Registry: reg, Transport: sim.Transport(),
			Started: func(daemon.Addresses) { close(started) },
			Listen:  func(network, _ string) (net.Listener, error) { return net.Listen(network, "127.0.0.1:0") },
		})
	}()
	select {
	case <-started:
	case err := <-ended:
		t.Fatal(err)
	}
	found := described(t, reg)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return found
}

// description is how a Desc prints itself.
var description = regexp.MustCompile(
	`^Desc\{fqName: "(pullprint_[^"]*)", help: "(?:[^"\\]|\\.)*", (?:unit: "[^"]*", )?constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)

// described reads a registry: a metric that has no series yet is there too.
func described(t *testing.T, reg *prometheus.Registry) map[string]metric {
	t.Helper()
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		reg.Describe(descs)
	}()
	found := map[string]metric{}
	for d := range descs {
		m := description.FindStringSubmatch(d.String())
		if m == nil {
			continue // of Go and of the process
		}
		var labels []string
		for one := range strings.SplitSeq(m[2]+","+m[3], ",") {
			if name, _, _ := strings.Cut(one, "="); name != "" {
				labels = append(labels, name)
			}
		}
		slices.Sort(labels)
		found[m[1]] = metric{labels: labels}
	}
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if m, ok := found[f.GetName()]; ok {
			m.typ = strings.ToLower(f.GetType().String())
			found[f.GetName()] = m
		}
	}
	return found
}

// metricName is a name of Prometheus, of a metric of ours or of a rule about one.
var metricName = regexp.MustCompile(`\b[a-z_]+:pullprint_[a-z0-9_:]+|\bpullprint(?:_|:[a-z]+_)[a-zA-Z0-9_:]+`)

// otherNames look like metrics and are buckets of NATS.
var otherNames = []string{"pullprint_jobs", "pullprint_badges", "pullprint_quota", "pullprint_state"}

// Every metric that is named anywhere below deploy exists, and every rule that is
// used is recorded.
func TestMetricsNamedExist(t *testing.T) {
	known, recorded := programMetrics(t), map[string]bool{}
	for _, r := range ruleFiles(t) {
		recorded[r.Record] = true
	}
	named := 0
	here := os.DirFS(".")
	err := fs.WalkDir(here, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".yml", ".yaml", ".json", ".md", ".tpl", ".txt"},
			filepath.Ext(path)) {
			return err
		}
		src, err := fs.ReadFile(here, path)
		if err != nil {
			return err
		}
		for _, name := range metricName.FindAllString(string(src), -1) {
			named++
			if !nameKnown(strings.TrimRight(name, ":"), known, recorded) {
				t.Errorf("%s names %s, which the program does not have", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if named < 200 {
		t.Errorf("only %d names found", named)
	}
}

func nameKnown(name string, known map[string]metric, recorded map[string]bool) bool {
	switch {
	case strings.Contains(name, ":"):
		return recorded[name]
	case !strings.HasPrefix(name, "pullprint_") || slices.Contains(otherNames, name):
		return true
	}
	if _, ok := known[name]; ok {
		return true
	}
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, part); ok && known[base].typ == "histogram" {
			return true
		}
	}
	return false
}

// describedRow is a row of docs/metrics.md: name, type, labels and two sentences.
var describedRow = regexp.MustCompile("(?m)^\\| `(pullprint_[a-z_]+)` \\| ([a-z]+) \\| ([^|]*) \\| ([^|]+) \\| ([^|]+) \\|$")

// Every metric of the program is described, with its type and its labels, what it
// means and what to do when it is odd; and no other is.
func TestMetricsDescribed(t *testing.T) {
	known := programMetrics(t)
	if len(known) < 50 {
		t.Fatalf("only %d metrics found", len(known))
	}
	src, err := os.ReadFile(filepath.Join("docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, row := range describedRow.FindAllStringSubmatch(string(src), -1) {
		name, typ := row[1], row[2]
		labels := strings.FieldsFunc(row[3], func(r rune) bool { return strings.ContainsRune("` ,", r) })
		slices.Sort(labels)
		m, ok := known[name]
		switch {
		case !ok:
			t.Errorf("metrics.md describes %s, which the program does not have", name)
		case m.typ != "" && m.typ != typ:
			t.Errorf("metrics.md: %s is a %s, not a %s", name, m.typ, typ)
		case !slices.Equal(labels, m.labels):
			t.Errorf("metrics.md: %s has the labels %v, not %v", name, m.labels, labels)
		case told[name]:
			t.Errorf("metrics.md describes %s twice", name)
		}
		told[name] = true
	}
	for name := range known {
		if !told[name] {
			t.Errorf("metrics.md has no row of %s: | `name` | type | labels | meaning | when it is odd |", name)
		}
	}
}

// tool is a program of Debian's; without it a test that needs it is skipped.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s here: install prometheus and prometheus-alertmanager", name)
	}
	return path
}

// must runs a tool and returns what it said.
func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), tool(t, name), args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
