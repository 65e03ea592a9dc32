package deploy

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pullprint/policy/strictyaml"
)

// withPrometheus runs what takes a minute: .ci/run's step prometheus. withBroken
// takes two more.
var (
	withPrometheus = flag.Bool("prometheus", false, "run every rule test, and let a Prometheus scrape the demo")
	withBroken     = flag.Bool("rules.break", false, "break each alert in turn and see its test fail")
)

// rule is one of a file of rules.
type rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`

	file string
}

// ruleFiles are all rules, read strictly.
func ruleFiles(t *testing.T) []rule {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("prometheus", "*.rules.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of rules, %v", len(files), err)
	}
	var all []rule
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var f struct {
			Groups []struct {
				Name  string `yaml:"name"`
				Rules []rule `yaml:"rules"`
			} `yaml:"groups"`
		}
		if err := strictyaml.Decode(file, src, &f, nil).Err(); err != nil {
			t.Fatal(err)
		}
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				r.file = file
				all = append(all, r)
			}
		}
	}
	return all
}

// ruleTests are the files that promtool tests rules by.
func ruleTests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("prometheus", "tests", "*.test.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of tests, %v", len(files), err)
	}
	return files
}

// promtool and amtool take what an administrator would install.
func TestPrometheusFilesCheck(t *testing.T) {
	must(t, "promtool", "check", "config", filepath.Join("prometheus", "prometheus.yml")) // and the rules it names
	must(t, "amtool", "check-config", filepath.Join("prometheus", "alertmanager.example.yml"))
}

func TestRules(t *testing.T) {
	if !*withPrometheus {
		t.Skip("days and weeks of samples: -prometheus plays them")
	}
	t.Parallel()
	for _, file := range ruleTests(t) {
		must(t, "promtool", "test", "rules", file)
	}
}

// Each alert says how bad it is, what it means and where to read on, and the page
// has a section of it.
func TestAlertsTell(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	alerts := map[string]bool{}
	for _, r := range ruleFiles(t) {
		if r.Alert == "" {
			continue
		}
		alerts[r.Alert] = true
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s has no summary or no description", r.Alert)
		}
		if want := "deploy/docs/runbook.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
	}
	if len(alerts) < 20 {
		t.Fatalf("only %d alerts found", len(alerts))
	}
	sections := map[string]string{}
	for _, part := range strings.Split(string(src), "\n## ")[1:] {
		name, body, _ := strings.Cut(part, "\n")
		sections[strings.TrimSpace(name)] = body
	}
	for name := range alerts {
		body, ok := sections[name]
		if !ok {
			t.Errorf("runbook.md has no section %s", name)
		}
		for _, part := range []string{"**Means.**", "**Impact.**", "**Look.**", "**Fix.**"} {
			if ok && !strings.Contains(body, part) {
				t.Errorf("runbook.md: %s lacks %s", name, part)
			}
		}
	}
	for name := range sections {
		if strings.HasPrefix(name, "Pullprint") && !alerts[name] {
			t.Errorf("runbook.md has a section of %s, which is no alert", name)
		}
	}
}

// silentCheck is an alert that is tested not to fire; one that fires has labels.
var (
	silentCheck = regexp.MustCompile(`alertname: (\w+), eval_time: \w+, exp_alerts: \[\]`)
	firingCheck = regexp.MustCompile(`alertname: (\w+)\n\s+eval_time: \w+\n\s+exp_alerts:\n\s+- exp_labels`)
)

// Each alert has a test in which it fires and one in which it doesn't.
func TestEachAlertIsTested(t *testing.T) {
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, file := range ruleTests(t) {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range firingCheck.FindAllStringSubmatch(string(src), -1) {
			fires[m[1]] = true
		}
		for _, m := range silentCheck.FindAllStringSubmatch(string(src), -1) {
			silent[m[1]] = true
		}
	}
	for _, r := range ruleFiles(t) {
		if r.Alert != "" && (!fires[r.Alert] || !silent[r.Alert]) {
			t.Errorf("%s: tested to fire %v, and not to %v", r.Alert, fires[r.Alert], silent[r.Alert])
		}
	}
}

// A rule test that passes with a broken alert tests nothing: each alert is made never
// to fire, and always, and a test has to fail both times.
func TestBrokenAlertsFail(t *testing.T) {
	if !*withBroken {
		t.Skip("slow; asked for by -rules.break")
	}
	promtool := tool(t, "promtool")
	count := 0
	for _, r := range ruleFiles(t) {
		if r.Alert == "" {
			continue
		}
		count++
		for _, expr := range []string{"vector(0) > 1", "vector(1)"} {
			t.Run(r.Alert+r.Labels["window"]+" "+expr, func(t *testing.T) { mustNotice(t, promtool, r, expr) })
		}
	}
	t.Logf("%d alerts, each broken twice", count)
}

func mustNotice(t *testing.T, promtool string, broken rule, expr string) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("prometheus")); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(dir, filepath.Base(broken.file))
	src, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	at := regexp.MustCompile(`(?m)^      - alert: ` + broken.Alert +
		`\n        expr:(?: \|\n(?:          .*\n)+| .*\n)(?:        for: .*\n)?        labels: \{severity: \w+(?:, window: ` +
		broken.Labels["window"] + `)?\}\n`)
	n := 0
	text := at.ReplaceAllStringFunc(string(src), func(m string) string {
		n++
		return regexp.MustCompile(`(?m)expr:(?: \|\n(?:          .*\n)+| .*\n)`).ReplaceAllLiteralString(m,
			"expr: "+expr+"\n")
	})
	if n != 1 || text == string(src) {
		t.Fatalf("%d places to break", n)
	}
	if err := os.WriteFile(target, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tests, err := filepath.Glob(filepath.Join(dir, "tests", "*.test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range tests {
		test, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, groups := withoutOthers(string(test), broken.Alert)
		if groups == "" {
			continue
		}
		if err := os.WriteFile(file, []byte(head+groups), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", file).CombinedOutput()
		if err != nil && strings.Contains(string(out), "FAILED") {
			return // it bites
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	t.Error("no test fails")
}

// withoutOthers is a file of tests with those groups alone that test an alert.
func withoutOthers(test, alert string) (head, groups string) {
	parts := strings.Split(test, "\n  - name: ")
	for _, g := range parts[1:] {
		if strings.Contains(g, "alertname: "+alert+",") || strings.Contains(g, "alertname: "+alert+"\n") {
			groups += "\n  - name: " + g
		}
	}
	return parts[0], groups
}
