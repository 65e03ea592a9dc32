package daemon_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// The rule of the house is cmd → connector → {trigger, policy}, and one home for each
// foreign system. It is read out of the source by go/parser: what `go list` says is
// served stale from the test cache, while the files a test opens are part of its key.

const modulePath = "pullprint"

// roof is all that may stand at the top of the module.
var roof = []string{
	".ci", ".git", ".github", ".gitignore", ".golangci.yml", "LICENSE", "README.md",
	"cmd", "config.example.yaml", "connector", "deploy", "go.mod", "go.sum", "policy", "trigger",
}

// floors are the wings by what they may import besides themselves. deploy is only the
// test that holds its files against the code, so it may look at everything.
var floors = map[string][]string{
	"cmd":       {"connector", "trigger", "policy"},
	"connector": {"trigger", "policy"},
	"trigger":   {},
	"policy":    {},
	"deploy":    {"connector", "trigger", "policy"},
}

// importHome says who alone may import the packages under some prefixes. Tests are held to it too.
type importHome struct {
	what     string
	prefixes []string // of the imported path
	rooms    []string // the folders they may be imported in, with those below
}

var importHomes = []importHome{
	{"NATS", []string{"github.com/nats-io", "github.com/synadia-io"}, []string{"connector/bus"}},
	{"CEL", []string{"cel.dev", "github.com/google/cel-go"}, []string{"policy"}},
	{
		"YAML",
		[]string{"github.com/goccy/go-yaml", "go.yaml.in", "gopkg.in/yaml.v2", "gopkg.in/yaml.v3", "sigs.k8s.io/yaml"},
		[]string{"connector/config", "policy"},
	},
	{"OAuth", []string{"golang.org/x/oauth2"}, []string{"trigger/graph/auth"}},
	{"systemd", []string{"github.com/coreos/go-systemd"}, []string{"cmd"}},
	{"the whole daemon", []string{modulePath + "/connector/daemon"}, []string{"connector/daemon", "connector/doctor", "cmd", "deploy"}},
	{"the doctor", []string{modulePath + "/connector/doctor"}, []string{"connector/doctor", "cmd"}},
}

// testOnly are imported by tests and by the helpers of tests alone.
var testOnly = []string{
	"testing", "net/http/httptest", "github.com/google/go-cmp", "github.com/rogpeppe/go-internal",
	"go.uber.org/goleak", "pgregory.net/rapid", "github.com/anishathalye/porcupine", modulePath + "/connector/bus/bustest",
	modulePath + "/policy/quota/quotatest",
}

// impure are what package policy, which only decides, has no business with.
var impure = []string{
	"crypto/rand", "io/ioutil", "log", "math/rand", "net", "os", "syscall",
	"go.uber.org/zap", "github.com/prometheus",
}

const (
	clientPath    = modulePath + "/trigger/graph"
	graphtestPath = modulePath + "/trigger/graph/graphtest"
)

// under reports whether path p is root or below it.
func under(p, root string) bool {
	return p == root || strings.HasPrefix(p, root+"/")
}

// underAny reports whether p is at or below one of roots.
func underAny(p string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return under(p, root) })
}

// checkFile returns what is wrong with the imports, and in policy with the clock and the
// goroutines, of one file, named by its slash path from the root of the module.
func checkFile(name string, src []byte) []string {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		return []string{err.Error()}
	}
	var wrong []string
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return []string{err.Error()}
		}
		for _, why := range checkImport(name, imported) {
			wrong = append(wrong, fmt.Sprintf("%s: imports %s: %s", fset.Position(spec.Pos()), imported, why))
		}
	}
	if folder := path.Dir(name); under(folder, "policy") && !under(folder, "policy/quota/quotatest") && !strings.HasSuffix(name, "_test.go") {
		wrong = append(wrong, checkPure(fset, file)...)
	}
	return wrong
}

// checkImport returns the rules that file name breaks by importing imported.
func checkImport(name, imported string) []string {
	folder := path.Dir(name)
	test := strings.HasSuffix(name, "_test.go")
	helper := under(folder, "connector/bus/bustest") || under(folder, "trigger/graph/graphtest") || under(folder, "policy/quota/quotatest")
	var wrong []string

	if under(imported, modulePath) {
		wrong = append(wrong, checkArrow(folder, imported, test)...)
	}
	for _, h := range importHomes {
		if underAny(imported, h.prefixes) && !underAny(folder, h.rooms) {
			wrong = append(wrong, h.what+" has its home in "+strings.Join(h.rooms, ", "))
		}
	}
	if !test && !helper && underAny(imported, testOnly) {
		wrong = append(wrong, "only tests may")
	}
	if !test && !helper && under(folder, "policy") && underAny(imported, impure) {
		wrong = append(wrong, "policy is pure: no I/O, dice, log or metric")
	}
	return wrong
}

// checkArrow returns what is wrong with a file in folder importing a package of the module.
func checkArrow(folder, imported string, test bool) []string {
	from, _, _ := strings.Cut(folder, "/")
	to, _, _ := strings.Cut(strings.TrimPrefix(imported, modulePath+"/"), "/")
	below, known := floors[from]
	switch {
	case !known:
		return []string{"no wing of the house is called " + from}
	case from != to && !slices.Contains(below, to):
		return []string{from + " may not look at " + to}
	case from == "deploy" && !test:
		return []string{"deploy holds no program"}
	case under(imported, graphtestPath) && !test && from != "cmd" && !under(folder, "trigger/graph/graphtest"):
		return []string{"the simulator is for cmd and for tests"}
	case under(folder, "trigger/graph/graphtest") && under(imported, clientPath) && !under(imported, graphtestPath):
		return []string{"the simulator shares no type with the client"}
	}
	return nil
}

// checkPure returns where a file starts a goroutine or asks for the time.
func checkPure(fset *token.FileSet, file *ast.File) []string {
	var wrong []string
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			wrong = append(wrong, fmt.Sprintf("%s: policy is pure: no goroutine", fset.Position(n.Pos())))
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			clock := []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Sleep", "Tick"}
			if ok && pkg.Name == "time" && slices.Contains(clock, n.Sel.Name) {
				wrong = append(wrong, fmt.Sprintf("%s: policy is pure: no time.%s", fset.Position(n.Pos()), n.Sel.Name))
			}
		}
		return true
	})
	return wrong
}

// checkRoof returns the names at the top of the module that have no place there. What
// gitignore leaves out of the repository, as a built program, may lie around.
func checkRoof(names []string, gitignore string) []string {
	var wrong []string
	for _, name := range names {
		if !slices.Contains(roof, name) && !ignored(name, gitignore) {
			wrong = append(wrong, name+": nothing of this name belongs at the top")
		}
	}
	return wrong
}

// ignored reports whether a pattern for the top matches name.
func ignored(name, gitignore string) bool {
	for line := range strings.Lines(gitignore) {
		pattern := strings.Trim(strings.TrimSpace(line), "/")
		if ok, err := path.Match(pattern, name); err == nil && ok && !strings.HasPrefix(pattern, "#") {
			return true
		}
	}
	return false
}

// isModule reports whether a folder is another module: the go command leaves it out of
// ours, and so do the rules. What it imports comes nowhere near the product's go.mod.
func isModule(house fs.FS, name string) bool {
	_, err := fs.Stat(house, path.Join(name, "go.mod"))
	return err == nil
}

// checkHouse reads the whole module and returns what is wrong, and how many Go files it read.
func checkHouse(house fs.FS) (wrong []string, read int, err error) {
	top, err := fs.ReadDir(house, ".")
	if err != nil {
		return nil, 0, err
	}
	var names []string
	for _, entry := range top {
		names = append(names, entry.Name())
	}
	gitignore, err := fs.ReadFile(house, ".gitignore")
	if err != nil {
		return nil, 0, err
	}
	wrong = checkRoof(names, string(gitignore))
	err = fs.WalkDir(house, ".", func(name string, entry fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && isModule(house, name):
			if !under(name, "deploy") {
				wrong = append(wrong, name+": a module of its own may stand below deploy only")
			}
			return fs.SkipDir
		case entry.IsDir() && name != "." && (base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(base, ".go"):
			return nil
		}
		src, err := fs.ReadFile(house, name)
		if err != nil {
			return err
		}
		read++
		wrong = append(wrong, checkFile(name, src)...)
		return nil
	})
	return wrong, read, err
}

// TestImports holds the house against its rule.
func TestImports(t *testing.T) {
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("cannot tell where this test stands")
	}
	root := filepath.Join(filepath.Dir(here), "..", "..")
	if !filepath.IsAbs(here) { // built with -trimpath: a test runs in its own folder
		root = filepath.Join("..", "..")
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(string(mod), "\n"); first != "module "+modulePath {
		t.Fatalf("%s is not the root of module %s: %q", root, modulePath, first)
	}
	wrong, read, err := checkHouse(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error(w)
	}
	if read < 50 {
		t.Errorf("read %d Go files only", read)
	}
}

// TestImportRulesRefuse shows that each rule refuses what it is there for, and nothing else.
func TestImportRulesRefuse(t *testing.T) {
	const graph, sim, nats = clientPath, graphtestPath, "github.com/nats-io/nats.go/jetstream"
	for _, c := range []struct {
		file, imports string
		want          string // "" when it may
	}{
		{"cmd/pullprint/run.go", modulePath + "/connector/daemon", ""},
		{"cmd/pullprint/policy.go", modulePath + "/policy", ""},
		{"cmd/pullprint/demo.go", sim, ""},
		{"connector/worker.go", graph, ""},
		{"connector/bus/bus.go", modulePath + "/trigger", ""},
		{"trigger/registrar.go", graph, ""},
		{"trigger/registrar_test.go", sim, ""},
		{"connector/world_test.go", sim, ""},
		{"deploy/deploy_test.go", modulePath + "/connector/config", ""},
		{"connector/worker.go", modulePath + "/cmd/pullprint", "connector may not look at cmd"},
		{"trigger/verifier.go", modulePath + "/connector/bus", "trigger may not look at connector"},
		{"trigger/book_test.go", modulePath + "/connector/bus/bustest", "trigger may not look at connector"},
		{"trigger/verifier.go", modulePath + "/policy", "trigger may not look at policy"},
		{"policy/policy.go", modulePath + "/trigger", "policy may not look at trigger"},
		{"policy/policy_test.go", sim, "policy may not look at trigger"},
		{"policy/policy.go", modulePath, "policy may not look at " + modulePath},
		{"internal/x/x.go", modulePath + "/policy", "no wing of the house is called internal"},
		{"connector/worker.go", sim, "the simulator is for cmd and for tests"},
		{"trigger/registrar.go", sim, "the simulator is for cmd and for tests"},
		{"deploy/deploy.go", modulePath + "/policy", "deploy holds no program"},
		{"trigger/graph/graphtest/sim.go", graph, "the simulator shares no type with the client"},
		{"trigger/graph/graphtest/sim_test.go", graph, "the simulator shares no type with the client"},
		{"connector/bus/kv.go", nats, ""},
		{"connector/bus/bustest/bustest.go", nats, ""},
		{"connector/business/b.go", nats, "NATS has its home in connector/bus"},
		{"connector/crash_test.go", nats, "NATS has its home in connector/bus"},
		{"cmd/pullprint/run.go", "github.com/synadia-io/orbit.go/jetstreamext", "NATS has its home in connector/bus"},
		{"policy/rule.go", "cel.dev/cel-go/cel", ""},
		{"connector/worker.go", "cel.dev/cel-go/cel", "CEL has its home in policy"},
		{"connector/config/config.go", "github.com/goccy/go-yaml", ""},
		{"policy/strictyaml/decode.go", "github.com/goccy/go-yaml/ast", ""},
		{"cmd/pullprint/run.go", "go.yaml.in/yaml/v3", "YAML has its home in connector/config, policy"},
		{"trigger/graph/auth/app.go", "golang.org/x/oauth2/clientcredentials", ""},
		{"trigger/graph/call.go", "golang.org/x/oauth2", "OAuth has its home in trigger/graph/auth"},
		{"trigger/registrar.go", "golang.org/x/oauth2", "OAuth has its home in trigger/graph/auth"},
		{"trigger/graph/graphtest/token.go", "golang.org/x/oauth2", "OAuth has its home in trigger/graph/auth"},
		{"cmd/pullprint/run.go", "github.com/coreos/go-systemd/v22/daemon", ""},
		{"connector/daemon/host.go", "github.com/coreos/go-systemd/v22/daemon", "systemd has its home in cmd"},
		{"connector/daemon/run_test.go", modulePath + "/connector/daemon", ""},
		{
			"connector/admin/api.go", modulePath + "/connector/daemon",
			"the whole daemon has its home in connector/daemon, connector/doctor, cmd, deploy",
		},
		{"connector/doctor/daemon.go", modulePath + "/connector/daemon", ""},
		{"connector/daemon/run.go", modulePath + "/connector/doctor", "the doctor has its home in connector/doctor, cmd"},
		{"connector/worker.go", "testing", "only tests may"},
		{"connector/worker.go", modulePath + "/connector/bus/bustest", "only tests may"},
		{"connector/worker_test.go", modulePath + "/connector/bus/bustest", ""},
		{"trigger/graph/graphtest/sim.go", "net/http/httptest", ""},
		{"policy/policy.go", "net/http", "policy is pure: no I/O, dice, log or metric"},
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

// TestImportsCheckFails gives the whole check a small module with one wrong of each kind.
func TestImportsCheckFails(t *testing.T) {
	file := func(src string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(src)} }
	wrong, read, err := checkHouse(fstest.MapFS{
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
		"Makefile: nothing of this name belongs at the top",
		"internal: nothing of this name belongs at the top",
		"x: nothing of this name belongs at the top",
		"connector/hidden: a module of its own may stand below deploy only",
		"deploy/x_test.go:3:8: imports sigs.k8s.io/yaml: YAML has its home in connector/config, policy",
		"policy/clock.go:5:12: policy is pure: no goroutine",
		"policy/clock.go:7:11: policy is pure: no time.Now",
		"trigger/verifier.go:5:2: imports pullprint/policy: trigger may not look at policy",
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
