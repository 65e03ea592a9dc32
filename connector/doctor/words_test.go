package doctor

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write words.txt anew")

// spoken are the files whose texts the program can say, by their folders.
var spoken = []string{"cmd/pullprint", "connector", "policy", "trigger"}

// unspoken are those that tell made-up people's stories, or are for tests.
var unspoken = regexp.MustCompile(`_test\.go$|/(?:graphtest|bustest|quotatest|testdata)/|cmd/pullprint/(?:demo|presenter|simulator)\.go$`)

// libraries are those whose errors end up in ours.
var libraries = []string{
	"net", "net/http", "net/url", "crypto/tls", "crypto/x509", "os", "io", "io/fs", "context", "syscall",
	"encoding/json", "encoding/base64",
	"strconv", "time", "internal/poll",
}

// others are words that come from Microsoft, and of the runtime.
const others = `ServiceUnavailable InvalidAuthenticationToken Authorization_RequestDenied Forbidden NotFound TooManyRequests BadRequest
	InternalServerError GatewayTimeout generalException serviceNotAvailable accessDenied itemNotFound invalidRequest unauthenticated notSupported
	ResourceNotFound UnknownError ExtensionError Conflict activityLimitReached
	graph.microsoft.com login.microsoftonline.com graph.microsoft.us dod-graph.microsoft.us login.microsoftonline.us blob.core.windows.net
	KV_pullprint_jobs KV_pullprint_badges KV_pullprint_quota KV_pullprint_state bus.lease bus.server shadow.policy Inf NaN devel
	blob.core.usgovcloudapi.net blob.storage.azure.net true false null info warn error debug level time logger msg`

var (
	joined = regexp.MustCompile(`[\p{L}\p{N}_]+(?:[.-][\p{L}\p{N}_]+)+`)
	single = regexp.MustCompile(`[\p{L}\p{N}_]+`)
	// numbered is a word with a number, as x509, and no piece of an id.
	numbered = regexp.MustCompile(`^[A-Za-z_]{1,12}\d{1,4}[A-Za-z]?$`)
)

// literals adds the words of every text in a file.
func literals(t *testing.T, path string, into map[string]bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(lit.Value)
		if err != nil || len(text) > 4000 {
			return true
		}
		addWords(text, into)
		return true
	})
}

// addWords adds the words of a text, and those that belong together.
func addWords(text string, into map[string]bool) {
	for _, re := range []*regexp.Regexp{joined, single} {
		for _, w := range re.FindAllString(text, -1) {
			if len(w) <= 60 && (!strings.ContainsAny(w, "0123456789") || numbered.MatchString(w)) {
				into[w] = true
			}
		}
	}
}

// ours are the words of this program.
func ours(t *testing.T) map[string]bool {
	t.Helper()
	words := map[string]bool{}
	for _, folder := range spoken {
		err := filepath.WalkDir(filepath.Join("..", "..", folder), func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !unspoken.MatchString(filepath.ToSlash(path)) {
				literals(t, path, words)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	addWords(others, words)
	return words
}

// theirs are the words of libraries, in the versions that are used now.
func theirs(t *testing.T) map[string]bool {
	t.Helper()
	words := map[string]bool{}
	var files []string
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, lib := range libraries {
		list, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(root)), "src", lib, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, list...)
	}
	for _, module := range []string{"github.com/nats-io/nats.go", "github.com/nats-io/nats-server/v2"} {
		dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"*.go", "jetstream/*.go", "server/*errors*.go", "server/store.go", "server/filestore.go"} {
			list, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), part))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, list...)
		}
	}
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") && !strings.Contains(f, "example") {
			literals(t, f, words)
		}
	}
	return words
}

// Nearly every word that the program can say is in words.txt, so that what it says
// of itself can be read in a bundle; with -update the file is made anew. No name of
// the stories of the demo is.
func TestWords(t *testing.T) {
	words := ours(t)
	names := []string{"contoso", "anna", "Anna", "Müller", "Zürich", "students"}
	maps.DeleteFunc(words, func(w string, _ bool) bool { return slices.Contains(names, w) }) // as in examples of hints
	if *update {
		maps.Copy(words, theirs(t))
		all := slices.Sorted(maps.Keys(words))
		if err := os.WriteFile("words.txt", []byte(strings.Join(all, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		wordList = strings.Join(all, "\n")
	}
	known := map[string]bool{}
	for _, w := range strings.Fields(wordList) {
		known[w] = true
	}
	missing := []string{}
	for w := range words {
		if !known[w] {
			missing = append(missing, w)
		}
	}
	slices.Sort(missing)
	if len(missing) > len(words)/10 {
		t.Errorf("words.txt lacks %d of %d words, such as %q: go test ./connector/doctor -run TestWords -update", len(missing), len(words),
			missing[:10])
	}
	for _, name := range names {
		if known[name] {
			t.Errorf("%q is in words.txt", name)
		}
	}
}
