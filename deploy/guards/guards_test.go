// Package guards takes the guards of the product out, one at a time, and tells which ones no
// test misses: the result of a compare-and-set, a size limit, a deadline, a check of identity
// or role, a bound on a loop. They are found in the syntax, by what they call and by the words
// in them. The tests of a package are built once, with each guard behind a switch
// (`go test -overlay`), so a guard costs only the tests in which it held something back.
//
//	go test ./deploy/guards -run TestGuards -v -timeout 0 -guards policy/quota,connector/bus
//
// A survivor that is known and explained is in explained.txt; any other fails the test.
package guards

import (
	"bufio"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	packages = flag.String("guards", "", "packages whose guards TestGuards takes out, separated by commas")
	with     = flag.String("guards.with", "", "further packages whose tests are run, separated by commas")
	kinds    = flag.String("guards.kinds", "", "only guards of these kinds, separated by commas")
	sample   = flag.Int("guards.sample", 0, "only so many guards of each package, chosen by -guards.seed")
	seed     = flag.Uint64("guards.seed", 1, "seed of the sample")
	jobs     = flag.Int("guards.jobs", 2, "processes at once")
	each     = flag.Duration("guards.each", 3*time.Minute, "the longest that the tests of one guard may take")
	skip     = flag.String("guards.skip", "", "pattern of tests that are left out")
	list     = flag.Bool("guards.list", false, "list the guards and take none out")
)

// TestGuards takes guards out, and fails for each that no test misses.
func TestGuards(t *testing.T) {
	if *packages == "" {
		t.Skip("no package is named by -guards")
	}
	explained := readExplained(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	r := runner{root: root, jobs: *jobs, each: *each, log: t.Logf}
	if *skip != "" {
		if r.skip, err = regexp.Compile(*skip); err != nil {
			t.Fatal(err)
		}
	}
	for dir := range strings.SplitSeq(*packages, ",") {
		tryPackage(t, r, filepath.ToSlash(filepath.Clean(dir)), explained)
	}
}

// tryPackage takes out the guards of one package.
func tryPackage(t *testing.T, r runner, dir string, explained map[string]bool) {
	guards, err := findGuards(r.root, dir)
	if err != nil {
		t.Fatal(err)
	}
	if *kinds != "" {
		guards = slices.DeleteFunc(guards, func(g *guard) bool { return !slices.Contains(strings.Split(*kinds, ","), g.kind) })
	}
	for i, g := range guards {
		g.id = i + 1
		if *list {
			t.Log(g)
		}
	}
	if *list {
		return
	}
	r.scratch = t.TempDir()
	dirs := []string{dir}
	if *with != "" {
		dirs = append(dirs, strings.Split(*with, ",")...)
	}
	found, began := len(guards), time.Now()
	if guards, err = r.build(dirs, guards); err != nil {
		t.Fatal(err)
	}
	built := time.Since(began)
	if err := r.measure(dirs); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d guards, %d compile; built in %s, %d tests measured in %s", dir, found, len(guards), built.Round(time.Second),
		len(r.tests), (time.Since(began) - built).Round(time.Second))
	if *sample > 0 {
		rand.New(rand.NewPCG(*seed, 0)).Shuffle(len(guards), func(i, j int) { guards[i], guards[j] = guards[j], guards[i] })
		guards = guards[:min(*sample, len(guards))]
	}
	count := map[string]int{}
	r.try(guards, func(v verdict) {
		word := v.word(explained)
		count[word]++
		switch word {
		case "caught":
			t.Logf("caught    %s (by %s)", v.guard, v.killed)
		case "explained":
		default:
			t.Errorf("%-9s %s (%d tests)", word, v.guard, v.ran)
		}
	})
	t.Logf("%s: %d tried, %v, in %s", dir, len(guards), count, time.Since(began).Round(time.Second))
}

// word says what became of a guard that was taken out.
func (v verdict) word(explained map[string]bool) string {
	switch {
	case v.killed != "":
		return "caught"
	case explained[v.guard.key()]:
		return "explained"
	case v.ran == 0:
		return "untested" // it holds nothing back in any test
	}
	return "survives"
}

// readExplained reads the survivors that are known: a line each, with its reason in the
// comment before it.
func readExplained(t *testing.T) map[string]bool {
	f, err := os.Open("explained.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	known := map[string]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			known[line] = true
		}
	}
	return known
}
