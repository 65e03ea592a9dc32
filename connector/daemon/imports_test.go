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

	"pullprint/trigger/racetest"
)

// The rules of imports are those of the architecture: cmd → connector → {trigger, policy},
// an order of the packages inside connector, and one package for each foreign system. The
// imports are read from the source by go/parser: the output of `go list` is served stale
// from the test cache, while the files that a test opens are part of its key.

const modulePath = "pullprint"

// topLevel are the names that may be at the top of the module.
var topLevel = []string{
	".ci", ".git", ".github", ".gitignore", ".golangci.yml", "LICENSE", "README.md",
	"cmd", "config.example.yaml", "connector", "deploy", "go.mod", "go.sum", "policy", "trigger",
}

// topImports are the top-level folders by what they may import besides themselves. deploy is
// only the tests that hold its files against the code, and what makes the Teams app of it, so it may import
// everything.
var topImports = map[string][]string{
	"cmd":       {"connector", "trigger", "policy"},
	"connector": {"trigger", "policy"},
	"trigger":   {},
	"policy":    {},
	"deploy":    {"connector", "trigger", "policy"},
}

// connectorOrder is the order of the packages inside connector: each may import those of the
// lines above it, and none of its own line. A package stands here by its folder below
// connector, with what is below that and has no place of its own; "" is connector itself.
var connectorOrder = [][]string{
	{"store", "recovery", "terminal", "logthrottle", "health", "clock", "decision", "catalog", "display"},
	{"bus", "cache", "job"},
	{"delegation", "directory", "inflight", "ledgerexport", "notice", "printer"},
	{"index"},
	{"evaluate", "integrity"},
	{"effect"},
	{"arrival", "release", "sweep", "notify", "privacy", "selftest"},
	{"", "tap", "phone"},
	{"access", "admin/apiclient"},
	{"admin"},
	{"console/view"},
	{"console/signin"},
	{"console/station", "console/own", "console/at"},
	{"console"},
	{"config"},
	{"daemon"},
	{"doctor"},
}

// restriction says which folders alone may import the packages under some prefixes.
type restriction struct {
	what     string
	prefixes []string // of the imported path
	folders  []string // where they may be imported, with those below
	except   []string // imported paths below prefixes that are free
	tests    bool     // tests may import them anywhere
}

var restrictions = []restriction{
	{what: "NATS", prefixes: []string{"github.com/nats-io", "github.com/synadia-io"}, folders: []string{"connector/bus"}},
	{what: "FUSE", prefixes: []string{"github.com/hanwen/go-fuse"}, folders: []string{"connector/bus/bustest"}},
	{
		what: "the bus", prefixes: []string{modulePath + "/connector/bus"},
		except:  []string{modulePath + "/connector/bus/nkey", modulePath + "/connector/bus/bustest"},
		folders: []string{"connector/bus", "connector/daemon", "connector/doctor", "cmd"}, tests: true,
	},
	{what: "CEL", prefixes: []string{"cel.dev", "github.com/google/cel-go"}, folders: []string{"policy"}},
	{
		what:     "YAML",
		prefixes: []string{"github.com/goccy/go-yaml", "go.yaml.in", "gopkg.in/yaml.v2", "gopkg.in/yaml.v3", "sigs.k8s.io/yaml"},
		folders:  []string{"connector/config", "policy/strictyaml"},
	},
	{what: "OAuth", prefixes: []string{"golang.org/x/oauth2", "github.com/coreos/go-oidc"}, folders: []string{"trigger/graph/auth"}},
	{
		what:     "the format of a document",
		prefixes: []string{modulePath + "/trigger/pages/document", modulePath + "/trigger/pages/pdf", modulePath + "/trigger/pages/xps"},
		folders:  []string{"trigger/pages"},
	},
	{what: "SMTP", prefixes: []string{"github.com/wneessen/go-mail", "net/smtp"}, folders: []string{"connector/notify/mail"}},
	{
		what: "an SMTP server", prefixes: []string{"github.com/emersion/go-smtp"},
		folders: []string{"trigger/graph/graphtest"}, tests: true,
	},
	{what: "systemd", prefixes: []string{"github.com/coreos/go-systemd"}, folders: []string{"cmd"}},
}

// testOnly are imported by tests and by the helpers of tests alone.
var testOnly = []string{
	"testing", "net/http/httptest",
	"github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "github.com/hanwen/go-fuse",
	"go.uber.org/goleak", "pgregory.net/rapid", "github.com/anishathalye/porcupine", modulePath + "/connector/bus/bustest",
	modulePath + "/policy/quota/quotatest", modulePath + "/trigger/racetest", fuzztestPath,
	modulePath + "/connector/console/view/viewtest",
}

// impure are the packages that policy, which only decides, must not import.
var impure = []string{
	"crypto/rand", "io/ioutil", "log", "math/rand", "net", "os", "syscall",
	"go.uber.org/zap", "github.com/prometheus",
}

const (
	clientPath    = modulePath + "/trigger/graph"
	graphtestPath = modulePath + "/trigger/graph/graphtest"
	fuzztestPath  = modulePath + "/trigger/fuzztest"
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
	if folder := path.Dir(name); under(folder, "policy") && !under(folder, "policy/quota/quotatest") &&
		!strings.HasSuffix(name, "_test.go") {
		wrong = append(wrong, checkPure(fset, file)...)
	}
	return wrong
}

// checkImport returns the rules that file name breaks by importing imported.
func checkImport(name, imported string) []string {
	folder := path.Dir(name)
	test := strings.HasSuffix(name, "_test.go")
	helper := under(folder, "connector/bus/bustest") || under(folder, "trigger/graph/graphtest") ||
		under(folder, "policy/quota/quotatest") ||
		under(folder, "trigger/racetest") || under(folder, "trigger/fuzztest") ||
		under(folder, "connector/console/view/viewtest")
	var wrong []string

	if under(imported, modulePath) {
		wrong = append(wrong, checkArrow(folder, imported, test)...)
	}
	for _, r := range restrictions {
		free := r.tests && test || underAny(imported, r.except)
		if underAny(imported, r.prefixes) && !underAny(folder, r.folders) && !free {
			wrong = append(wrong, r.what+" is for "+strings.Join(r.folders, ", ")+" only")
		}
	}
	if !test && !helper && underAny(imported, testOnly) {
		wrong = append(wrong, "for tests only")
	}
	if !test && !helper && under(folder, "policy") && underAny(imported, impure) {
		wrong = append(wrong, "policy is pure: no I/O, randomness, log or metric")
	}
	return wrong
}

// checkArrow returns what is wrong with a file in folder importing a package of the module.
func checkArrow(folder, imported string, test bool) []string {
	from, _, _ := strings.Cut(folder, "/")
	to, _, _ := strings.Cut(strings.TrimPrefix(imported, modulePath+"/"), "/")
	allowed, known := topImports[from]
	switch {
	case !known:
		return []string{"no top-level folder of code is called " + from}
	case test && imported == fuzztestPath: // for the tests of policy as well
		return nil
	case from != to && !slices.Contains(allowed, to):
		return []string{from + " must not import " + to}
	case from == "deploy" && !test && folder != "deploy/teams":
		return []string{"deploy has no code but tests"}
	case under(imported, graphtestPath) && !test && from != "cmd" && !under(folder, "trigger/graph/graphtest"):
		return []string{"the simulator is for cmd and for tests"}
	case under(folder, "trigger/graph/graphtest") && under(imported, clientPath) && !under(imported, graphtestPath):
		return []string{"the simulator shares no type with the client"}
	}
	if from == "connector" && to == "connector" && !test {
		return checkOrder(folder, strings.TrimPrefix(imported, modulePath+"/"))
	}
	return nil
}

// checkOrder returns what connectorOrder has against a package in folder importing another of
// connector.
func checkOrder(folder, imported string) []string {
	from, to := belowConnector(folder), belowConnector(imported)
	place := func(name string) int {
		return slices.IndexFunc(connectorOrder, func(line []string) bool { return slices.Contains(line, name) })
	}
	switch {
	case from == to:
		return nil
	case place(from) < 0:
		return []string{folder + " has no place in connectorOrder"}
	case place(to) < 0:
		return []string{imported + " has no place in connectorOrder"}
	case place(to) == place(from):
		return []string{imported + " is beside " + folder + ", not below it"}
	case place(to) > place(from):
		return []string{imported + " is above " + folder}
	}
	return nil
}

// belowConnector is the folder below connector that a path belongs to: the innermost that has a place
// in connectorOrder, or else the one right below connector; "" is connector.
func belowConnector(p string) string {
	p = strings.TrimPrefix(strings.TrimPrefix(p, "connector"), "/")
	for name := p; strings.Contains(name, "/"); name = path.Dir(name) {
		if slices.ContainsFunc(connectorOrder, func(line []string) bool { return slices.Contains(line, name) }) {
			return name
		}
	}
	name, _, _ := strings.Cut(p, "/")
	return name
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

// checkTopLevel returns the names at the top of the module that don't belong there. Files
// that gitignore excludes, as a built program, may be there.
func checkTopLevel(names []string, gitignore string) []string {
	var wrong []string
	for _, name := range names {
		if !slices.Contains(topLevel, name) && !ignored(name, gitignore) {
			wrong = append(wrong, name+": not allowed at the top of the module")
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
// ours, and so do the rules. Its imports do not affect the product's go.mod.
func isModule(module fs.FS, name string) bool {
	_, err := fs.Stat(module, path.Join(name, "go.mod"))
	return err == nil
}

// checkModule reads the whole module and returns what is wrong, and how many Go files it read.
func checkModule(module fs.FS) (wrong []string, read int, err error) {
	top, err := fs.ReadDir(module, ".")
	if err != nil {
		return nil, 0, err
	}
	var names []string
	for _, entry := range top {
		names = append(names, entry.Name())
	}
	gitignore, err := fs.ReadFile(module, ".gitignore")
	if err != nil {
		return nil, 0, err
	}
	wrong = checkTopLevel(names, string(gitignore))
	err = fs.WalkDir(module, ".", func(name string, entry fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && isModule(module, name):
			if !under(name, "deploy") {
				wrong = append(wrong, name+": another module may be below deploy only")
			}
			return fs.SkipDir
		case entry.IsDir() && name != "." && (base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(base, ".go"):
			return nil
		}
		src, err := fs.ReadFile(module, name)
		if err != nil {
			return err
		}
		read++
		wrong = append(wrong, checkFile(name, src)...)
		return nil
	})
	return wrong, read, err
}

// TestImports checks the imports of the whole module.
func TestImports(t *testing.T) {
	racetest.Skip(t, "one file after the other")
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("the folder of this test is unknown")
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
	wrong, read, err := checkModule(os.DirFS(root))
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
