package daemon_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// Each rule refuses what it is for, and nothing else.
func TestImportRulesRefuse(t *testing.T) {
	const graph, sim, nats = clientPath, graphtestPath, "github.com/nats-io/nats.go/jetstream"
	for _, c := range []struct {
		file, imports string
		want          string // empty: allowed
	}{
		{"cmd/pullprint/run.go", modulePath + "/connector/daemon", ""},
		{"cmd/pullprint/policy.go", modulePath + "/policy", ""},
		{"cmd/pullprint/demo.go", sim, ""},
		{"connector/worker.go", graph, ""},
		{"connector/bus/bus.go", modulePath + "/trigger", ""},
		{"connector/bus/bus.go", modulePath + "/connector/store", ""},
		{"connector/bus/backup/backup.go", modulePath + "/connector/bus", ""},
		{"connector/effect/effect.go", modulePath + "/connector/evaluate", ""},
		{"connector/arrival/arrival_test.go", modulePath + "/connector/release", ""},
		{"connector/config/nats.go", modulePath + "/connector/bus/nkey", ""},
		{"connector/daemon/daemon.go", modulePath + "/connector/bus", ""},
		{"connector/admin/api_test.go", modulePath + "/connector/bus", ""},
		{"connector/store/store.go", modulePath + "/connector/job", "connector/job is above connector/store"},
		{"connector/effect/effect.go", modulePath + "/connector/arrival", "connector/arrival is above connector/effect"},
		{"connector/arrival/arrival.go", modulePath + "/connector/release", "connector/release is beside connector/arrival, not below it"},
		{
			"connector/admin/api.go", modulePath + "/connector/bus",
			"the bus is for connector/bus, connector/daemon, connector/doctor, cmd only",
		},
		{"connector/store/store.go", modulePath + "/connector/odd", "connector/odd has no place in connectorOrder"},
		{"trigger/registrar.go", graph, ""},
		{"trigger/registrar_test.go", sim, ""},
		{"connector/world_test.go", sim, ""},
		{"deploy/deploy_test.go", modulePath + "/connector/config", ""},
		{"connector/worker.go", modulePath + "/cmd/pullprint", "connector must not import cmd"},
		{"trigger/verifier.go", modulePath + "/connector/store", "trigger must not import connector"},
		{"trigger/book_test.go", modulePath + "/connector/bus/bustest", "trigger must not import connector"},
		{"trigger/verifier.go", modulePath + "/policy", "trigger must not import policy"},
		{"policy/policy.go", modulePath + "/trigger", "policy must not import trigger"},
		{"policy/policy_test.go", sim, "policy must not import trigger"},
		{"policy/policy.go", modulePath, "policy must not import " + modulePath},
		{"internal/x/x.go", modulePath + "/policy", "no top-level folder of code is called internal"},
		{"connector/worker.go", sim, "the simulator is for cmd and for tests"},
		{"trigger/registrar.go", sim, "the simulator is for cmd and for tests"},
		{"deploy/deploy.go", modulePath + "/policy", "deploy has no code but tests"},
		{"trigger/graph/graphtest/sim.go", graph, "the simulator shares no type with the client"},
		{"trigger/graph/graphtest/sim_test.go", graph, "the simulator shares no type with the client"},
		{"connector/bus/kv.go", nats, ""},
		{"connector/bus/bustest/bustest.go", nats, ""},
		{"connector/business/b.go", nats, "NATS is for connector/bus only"},
		{"connector/crash_test.go", nats, "NATS is for connector/bus only"},
		{"cmd/pullprint/run.go", "github.com/synadia-io/orbit.go/jetstreamext", "NATS is for connector/bus only"},
		{"policy/rule.go", "cel.dev/cel-go/cel", ""},
		{"connector/worker.go", "cel.dev/cel-go/cel", "CEL is for policy only"},
		{"connector/config/config.go", "github.com/goccy/go-yaml", ""},
		{"policy/strictyaml/decode.go", "github.com/goccy/go-yaml/ast", ""},
		{"cmd/pullprint/run.go", "go.yaml.in/yaml/v3", "YAML is for connector/config, policy/strictyaml only"},
		{"trigger/graph/auth/app.go", "golang.org/x/oauth2/clientcredentials", ""},
		{"trigger/graph/call.go", "golang.org/x/oauth2", "OAuth is for trigger/graph/auth only"},
		{"trigger/registrar.go", "golang.org/x/oauth2", "OAuth is for trigger/graph/auth only"},
		{"trigger/graph/graphtest/token.go", "golang.org/x/oauth2", "OAuth is for trigger/graph/auth only"},
		{"cmd/pullprint/run.go", "github.com/coreos/go-systemd/v22/daemon", ""},
		{"connector/daemon/host.go", "github.com/coreos/go-systemd/v22/daemon", "systemd is for cmd only"},
		{"connector/daemon/run_test.go", modulePath + "/connector/daemon", ""},
		{
			"connector/admin/api.go", modulePath + "/connector/daemon",
			"connector/daemon is above connector/admin",
		},
		{"connector/doctor/daemon.go", modulePath + "/connector/daemon", ""},
		{"connector/daemon/run.go", modulePath + "/connector/doctor", "connector/doctor is above connector/daemon"},
		{"connector/worker.go", "testing", "for tests only"},
		{"connector/worker.go", modulePath + "/connector/bus/bustest", "for tests only"},
		{"connector/worker_test.go", modulePath + "/connector/bus/bustest", ""},
		{"trigger/graph/graphtest/sim.go", "net/http/httptest", ""},
		{"policy/policy.go", "net/http", "policy is pure: no I/O, randomness, log or metric"},
		{"policy/policy_test.go", "os", ""},
		{"policy/policy.go", "time", ""},
	} {
		got := strings.Join(checkFile(c.file, fmt.Appendf(nil, "package p\n\nimport %q\n", c.imports)), "\n")
		want := c.want
		if want != "" {
			want = c.file + ":3:8: imports " + c.imports + ": " + want
		}
		if got != want {
			t.Errorf("%s importing %s:\n got %q\nwant %q", c.file, c.imports, got, want)
		}
	}
}

// TestImportsCheckFails checks a small module with one fault of each kind.
func TestImportsCheckFails(t *testing.T) {
	file := func(src string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(src)} }
	wrong, read, err := checkModule(fstest.MapFS{
		"go.mod":                     file("module pullprint\n"),
		".gitignore":                 file("# built\n/pullprint\n*.test\n/dist/\n/cmd/pullprint/x\n"),
		"pullprint":                  file("a program\n"),
		"bus.test":                   file("a program\n"),
		"dist/pullprint":             file("a program\n"),
		"x":                          file("a program\n"),
		"Makefile":                   file("all:\n"),
		"internal/x/x.go":            file("package x\n"),
		".git/hooks/x.go":            file("package x\n\nimport \"testing\"\n"),
		"policy/testdata/broken.go":  file("not Go\n"),
		"policy/clock.go":            file("package policy\n\nimport \"time\"\n\nfunc f() { go f() }\n\nvar now = time.Now\n"),
		"policy/clock_test.go":       file("package policy\n\nimport \"time\"\n\nvar then = time.Now\n"),
		"trigger/verifier.go":        file("package trigger\n\nimport (\n\t\"fmt\"\n\t_ \"pullprint/policy\"\n)\n"),
		"cmd/pullprint/demo_test.go": file("package main\n"),
		"connector/hidden/go.mod":    file("module hidden\n"),
		"connector/hidden/x.go":      file("package hidden\n\nimport \"testing\"\n"),
		"deploy/cluster/go.mod":      file("module cluster\n"),
		"deploy/cluster/x_test.go":   file("package cluster\n\nimport \"sigs.k8s.io/yaml\"\n"),
		"deploy/x_test.go":           file("package deploy\n\nimport \"sigs.k8s.io/yaml\"\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Makefile: not allowed at the top of the module",
		"internal: not allowed at the top of the module",
		"x: not allowed at the top of the module",
		"connector/hidden: another module may be below deploy only",
		"deploy/x_test.go:3:8: imports sigs.k8s.io/yaml: YAML is for connector/config, policy/strictyaml only",
		"policy/clock.go:5:12: policy is pure: no goroutine",
		"policy/clock.go:7:11: policy is pure: no time.Now",
		"trigger/verifier.go:5:2: imports pullprint/policy: trigger must not import policy",
	}
	if !slices.Equal(wrong, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(wrong, "\n"), strings.Join(want, "\n"))
	}
	if read != 6 {
		t.Errorf("read %d Go files, want 6", read)
	}
	if got := checkFile("connector/broken.go", []byte("package\n")); len(got) != 1 {
		t.Errorf("a file that is not Go: got %q, want one error", got)
	}
}
