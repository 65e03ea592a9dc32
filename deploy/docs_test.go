// Package deploy has the files that come with the program, and tests that check them against
// the code.
package deploy

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// checker checks pages of the documentation against the tree and the program.
type checker struct {
	root       string
	verbs      *verbs
	steps      map[string]bool // of .ci/run
	tests      map[string]bool // functions, anywhere in the tree
	configKeys []string
	policyKeys []string
}

var (
	testFunc  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	policyRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)[.`]")
)

// newChecker reads the tree, and has the program built.
func newChecker(t *testing.T) *checker {
	t.Helper()
	c := &checker{root: "..", steps: map[string]bool{}, tests: map[string]bool{}}
	// Each source is read, not only those of tests: what a test opens is part of the key
	// under which its result is cached, what the build of the program opens is not.
	tree := os.DirFS(c.root)
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case d.IsDir() || !slices.Contains([]string{".go", ".mod", ".html", ".css", ".json"}, filepath.Ext(path)):
			return nil
		}
		src, err := fs.ReadFile(tree, path)
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range testFunc.FindAllStringSubmatch(string(src), -1) {
			c.tests[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(output(t, c.root, "bash", ".ci/run", "--list"), "\n") {
		if name, _, ok := strings.Cut(line, " "); ok {
			c.steps[name] = true
		}
	}
	for _, m := range topKey.FindAllStringSubmatch(textOf(t, "../config.example.yaml"), -1) {
		c.configKeys = append(c.configKeys, m[1])
	}
	for _, m := range policyRow.FindAllStringSubmatch(textOf(t, "docs/policy.md"), -1) {
		c.policyKeys = append(c.policyKeys, m[1])
	}
	if len(c.steps) < 10 || len(c.tests) < 100 || len(c.configKeys) < 15 || !slices.Contains(c.policyKeys, "rules") {
		t.Fatalf("found only %d steps, %d tests, the keys %v and %v", len(c.steps), len(c.tests), c.configKeys, c.policyKeys)
	}
	c.verbs = &verbs{program: pullprint(t), known: map[string]*verb{}}
	return c
}

func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func textOf(t *testing.T, path string) string {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(src)
}

// check is everything that is wrong with a page but for what its blocks do.
func (c *checker) check(tb testing.TB, p *page) []string {
	tb.Helper()
	return slices.Concat(c.checkFences(p), c.checkVerbs(p), c.checkYAML(tb, p), c.checkLinks(p), c.checkNames(p),
		c.checkTables(p))
}

// TestDocs reads README.md and each page in docs and .github, and holds them to what they say:
//   - a block of commands says what keeps it honest: run (it is run here), run=CODE (it
//     must end so), tenant (it needs one), by=STEP of .ci/run or by=TestName
//   - each call of pullprint, in a block or a code span, names verbs and flags that exist
//   - a YAML block of configuration or policy is read by the code that reads those files;
//     file=NAME also puts it there for the commands below it
//   - links within the tree lead somewhere, also to headings
//   - tests that are named exist
//   - the rows of a table have as many cells as its head
//   - nothing of a conflict that git could not merge is left
func TestDocs(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../.github/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("found %v, %v", pages, err)
	}
	pages = append(pages, "../README.md")
	found, err := filepath.Glob("docs/*.md")
	if err != nil || len(found) < 4 {
		t.Fatalf("found %v, %v", found, err)
	}
	c := newChecker(t)
	t.Run("mistakes", func(t *testing.T) {
		t.Parallel()
		c.findsMistakes(t)
	})
	index := textOf(t, "docs/README.md")
	for _, path := range append(pages, found...) {
		if name := filepath.Base(path); !strings.HasPrefix(path, "..") && name != "README.md" &&
			!strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/README.md does not list %s", name)
		}
		if strings.Contains(textOf(t, path), "\n<<<<<<< ") {
			t.Errorf("%s has both sides of a conflict", path)
		}
		p, err := readPage(filepath.ToSlash(strings.TrimPrefix(path, "../")), path)
		if err != nil {
			t.Error(err)
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			for _, complaint := range c.check(t, p) {
				t.Error(complaint)
			}
			wrong, err := c.runPage(p, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			for _, complaint := range wrong {
				t.Error(complaint)
			}
		})
	}
}

// changing is what differs from run to run: the folder a configuration was
// tried in, and empty lines at the end of what a program says.
var changing = regexp.MustCompile(`/\S*/pullprint-docs-\d+/|\n+$`)

// findsMistakes checks pages in testdata/docs that break each of the rules; the file beside each
// has the messages that must come.
func (c *checker) findsMistakes(t *testing.T) {
	bad, err := filepath.Glob("testdata/docs/*.md")
	if err != nil || len(bad) == 0 {
		t.Fatalf("found %v, %v", bad, err)
	}
	for _, path := range bad {
		p, err := readPage(filepath.Base(path), path)
		if err != nil {
			t.Fatal(err)
		}
		wrong := c.check(t, p)
		failing, err := c.runPage(p, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, complaint := range append(wrong, failing...) {
			got += changing.ReplaceAllString(complaint, "") + "\n"
		}
		if want := textOf(t, strings.TrimSuffix(path, ".md")+".txt"); got != want {
			t.Errorf("of %s it says\n%s\nwant\n%s", path, got, want)
		}
	}
}

// README names every verb.
func TestREADMENamesVerbs(t *testing.T) {
	t.Parallel()
	root, err := newChecker(t).verbs.learn()
	if err != nil {
		t.Fatal(err)
	}
	readme := textOf(t, "../README.md")
	for _, name := range root.children {
		if name != "help" && !strings.Contains(readme, "`"+name) {
			t.Errorf("README.md does not name `pullprint %s`", name)
		}
	}
}
