package main

import (
	"go/ast"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pullprint/connector/bus"
	"pullprint/connector/config"
	"pullprint/connector/daemon"
)

// inputs are the verbs that read standard input, by the function that makes each:
// how to run it, and what it tells a terminal that it waits for.
var inputs = map[string]struct {
	make func(t *testing.T) (args []string, who answer)
	says string
}{
	"badgeEnrol":           {atAPI("badge", "enrol", "--owner", otherApp), "Hold the badge to the reader"},
	"badgeRevoke":          {atAPI("badge", "revoke", "--number"), "Hold the badge to the reader"},
	"badgeImport":          {atAPI("badge", "import", "-"), "CSV"},
	"policyExplainCommand": {fixed("policy", "explain", "--input", "-"), "Paste a decision"},
	"pagesCommand":         {fixed("pages", "--pages", "1", "--settings", "-"), "Paste a printJobConfiguration"},
	"policyReplayCommand":  {withEmptyPolicy("policy", "replay", "--input", "-", "--policy"), "Paste decisions"},
	"privacyErase":         {withEmptyStore("privacy", "erase", otherApp), "[y/N]"},
	"acceptLossCommand":    {withLoss, "[y/N]"},
	"registerApply":        {withTenant("register", "apply"), "[y/N]"},
	"registerRemove":       {withTenant("register", "remove"), "[y/N]"},
}

// answer signs somebody in with a code.
type answer func(code string) error

func fixed(args ...string) func(*testing.T) ([]string, answer) {
	return func(*testing.T) ([]string, answer) { return args, nil }
}

// atAPI runs a verb against an API that takes whatever it is sent.
func atAPI(args ...string) func(*testing.T) ([]string, answer) {
	return func(t *testing.T) ([]string, answer) {
		api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		}))
		t.Cleanup(api.Close)
		return append(slices.Clone(args), "--url", api.URL, "--token-file",
			file(t, "token", "0123456789abcdef0123456789abcdef")), nil
	}
}

func withEmptyPolicy(args ...string) func(*testing.T) ([]string, answer) {
	return func(t *testing.T) ([]string, answer) {
		return append(slices.Clone(args), file(t, "policy.yaml", "rules: []\n")), nil
	}
}

// withTenant has a verb sign in at a simulated tenant before it asks.
func withTenant(args ...string) func(*testing.T) ([]string, answer) {
	return func(t *testing.T) ([]string, answer) {
		n := newTenant(t)
		if args[1] == "remove" {
			if _, err := n.does("register", "apply", "--yes"); err != nil {
				t.Fatal(err)
			}
		}
		return append(slices.Clone(args), "--config", n.config), n.answer
	}
}

// withEmptyStore has a configuration whose store no daemon has.
func withEmptyStore(args ...string) func(*testing.T) ([]string, answer) {
	return func(t *testing.T) ([]string, answer) {
		return append(slices.Clone(args), "--config", newTenant(t).config), nil
	}
}

// withLoss has a store that is behind its mark.
func withLoss(t *testing.T) ([]string, answer) {
	n := newTenant(t)
	n.lose()
	return []string{"accept-loss", "--config", n.config}, nil
}

// lose removes a store that has held something.
func (n *tenant) lose() {
	t := n.t
	t.Helper()
	cfg, err := config.Load(n.config)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bus.Open(t.Context(), daemon.StoreConfig(cfg), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Badges().CompareAndSet(t.Context(), "a", []byte("b"), 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(cfg.NATS.Embedded.StoreDir); err != nil {
		t.Fatal(err)
	}
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A verb that waits for its input says so on a terminal, and ends with the first
// signal, as any other does.
func TestSignalEndsWaitForInput(t *testing.T) {
	t.Parallel()
	for name, verb := range inputs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args, who := verb.make(t)
			for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
				_, slave := pty(t)
				p := start(t, slave, args...)
				signIn(t, p, who)
				if !eventually(patience, func() bool { return strings.Contains(p.out.String()+p.err.String(), verb.says) }) {
					t.Fatalf("it does not say %q: %s%s", verb.says, p.out, p.err)
				}
				endsBy(t, p, sig)
			}
		})
	}
}

// endsBy has a signal end a process at once.
func endsBy(t *testing.T, p *process, sig syscall.Signal) {
	t.Helper()
	if err := p.signal(sig); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if code, err := p.code(patience); err != nil || code != exitFailed {
		t.Errorf("%v: exit code %d, %v: %s", sig, code, err, p.err)
	}
	if took := time.Since(begin); took >= endWithin {
		t.Errorf("%v: it took %s", sig, took)
	}
}

func start(t *testing.T, in *os.File, args ...string) *process {
	t.Helper()
	p, err := startProcessWith(in, t.TempDir(), os.Environ(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

var prompted = regexp.MustCompile(`enter the code ([A-Z0-9]+)`)

// signIn answers a verb that asks for a sign-in, if there is anybody who does.
func signIn(t *testing.T, p *process, who answer) {
	t.Helper()
	if who == nil {
		return
	}
	var found []string
	if !eventually(patience, func() bool { found = prompted.FindStringSubmatch(p.err.String()); return found != nil }) {
		t.Fatalf("no code: %s", p.err)
	}
	if err := who(found[1]); err != nil {
		t.Fatal(err)
	}
}

// A pipe that nobody writes to is no terminal; a signal ends the wait for it as well,
// whether it is read as "-", by its name, or opened while nobody writes.
func TestSignalEndsWaitForPipe(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from   string
		within time.Duration
	}{{"-", endWithin}, {"/dev/stdin", patience}, {fifo, patience}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = r.Close(), w.Close() })
		p := start(t, r, "policy", "explain", "--input", c.from)
		if c.from == fifo {
			// It is known to be there once it has opened the other end.
			opened, err := os.OpenFile(fifo, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = opened.Close() })
		} else if _, err := w.Write(make([]byte, 1<<16+1)); err != nil { // more than a pipe holds: it reads
			t.Fatal(err)
		}
		if err := p.signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if code, err := p.code(c.within); err != nil || code != exitFailed {
			t.Errorf("%s: exit code %d, %v: %s", c.from, code, err, p.err)
		}
		if took := time.Since(begin); took >= c.within {
			t.Errorf("%s: it took %s", c.from, took)
		}
	}
}

// A file that is named is read, and not what comes on standard input.
func TestInputFileLeavesStdin(t *testing.T) {
	t.Parallel()
	decision := file(t, "d.json",
		`{"id":"t:arrival","at":"2026-03-10T12:00:00Z","point":"arrival","verdict":"hold","policy":"x","by":"y","input":{"mode":"pull"},"queue":"Q"}`)
	empty := file(t, "p.yaml", "rules: []\n")
	for _, verb := range []string{"explain", "replay"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = r.Close(), w.Close() })
		p := start(t, r, "policy", verb, "--input", decision, "--policy", empty)
		if code, err := p.code(patience); err != nil || code != exitDone {
			t.Errorf("%s: exit code %d, %v: %s", verb, code, err, p.err)
		}
	}
}

// Whatever reads standard input does it by stdin, and each verb that does is in
// inputs.
func TestEveryReaderOfStdinIsKnown(t *testing.T) {
	t.Parallel()
	calls := map[string]map[string]bool{} // function: what it mentions
	verbs := map[string]bool{}
	eachFunction(t, func(file string, f *ast.FuncDecl) {
		seen := map[string]bool{}
		ast.Inspect(f, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				seen[id.Name] = true
			}
			return true
		})
		if file != "stdin.go" && seen["InOrStdin"] || file != "main.go" && seen["Stdin"] {
			t.Errorf("%s: %s reads standard input by itself; use stdin", file, f.Name.Name)
		}
		calls[f.Name.Name] = seen
		verbs[f.Name.Name] = returnsCommand(f)
	})
	var found []string
	readers := []string{"stdin"}
	for i := 0; i < len(readers); i++ {
		for name, seen := range calls {
			switch {
			case !seen[readers[i]] || slices.Contains(readers, name) || slices.Contains(found, name):
			case verbs[name]:
				found = append(found, name)
			default:
				readers = append(readers, name)
			}
		}
	}
	slices.Sort(found)
	if known := slices.Sorted(maps.Keys(inputs)); !slices.Equal(found, known) {
		t.Errorf("verbs that read standard input: %v; in the table are %v", found, known)
	}
}

func returnsCommand(f *ast.FuncDecl) bool {
	if f.Type.Results == nil || len(f.Type.Results.List) != 1 {
		return false
	}
	star, ok := f.Type.Results.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	sel, ok := star.X.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Command"
}
