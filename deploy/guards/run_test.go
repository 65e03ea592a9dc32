package guards

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// timed is one test, with the guards that it brought to matter.
type timed struct {
	bin, dir, name string
	took           time.Duration
	seen           map[int]bool
}

// runner builds and runs the tests of a package whose guards are behind switches.
type runner struct {
	root, scratch string
	jobs          int
	each          time.Duration // the longest that the tests of one guard may take
	skip          *regexp.Regexp
	log           func(format string, args ...any)
	tests         []*timed
}

// build builds the tests of the packages, of which the first has the guards, and drops guards
// that don't compile.
func (r *runner) build(dirs []string, guards []*guard) ([]*guard, error) {
	for {
		overlay, err := writeOverlay(r.root, r.scratch, dirs[0], guards)
		if err != nil {
			return nil, err
		}
		out, err := r.compile(dirs[0], overlay)
		if err == nil {
			for _, other := range dirs[1:] {
				if out, err := r.compile(other, overlay); err != nil {
					return nil, fmt.Errorf("build the tests of %s: %w\n%s", other, err, out)
				}
			}
			return guards, nil
		}
		less := without(guards, out)
		if len(less) == len(guards) {
			return nil, fmt.Errorf("build the tests of %s: %w\n%s", dirs[0], err, out)
		}
		guards = less
	}
}

func (r *runner) binary(dir string) string {
	return filepath.Join(r.scratch, strings.ReplaceAll(dir, "/", "_")+".test")
}

func (r *runner) compile(dir, overlay string) (string, error) {
	args := []string{"test", "-c", "-vet=off", "-gcflags=-e", "-overlay", overlay, "-o", r.binary(dir), "./" + dir}
	cmd := exec.CommandContext(context.Background(), "go", args...)
	cmd.Dir = r.root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// measure runs each test on its own, with every guard in its place.
func (r *runner) measure(dirs []string) error {
	for _, dir := range dirs {
		list := exec.CommandContext(context.Background(), r.binary(dir), "-test.list", ".")
		list.Dir = filepath.Join(r.root, dir)
		out, err := list.Output()
		if err != nil {
			return fmt.Errorf("list the tests of %s: %w", dir, err)
		}
		for name := range strings.Lines(string(out)) {
			name = strings.TrimSpace(name)
			if !strings.HasPrefix(name, "Benchmark") && (r.skip == nil || !r.skip.MatchString(name)) {
				r.tests = append(r.tests, &timed{bin: r.binary(dir), dir: list.Dir, name: name, seen: map[int]bool{}})
			}
		}
	}
	var wg sync.WaitGroup
	work := make(chan *timed)
	for range r.jobs {
		wg.Go(func() {
			for t := range work {
				r.measureOne(t)
			}
		})
	}
	for _, t := range r.tests {
		work <- t
	}
	close(work)
	wg.Wait()
	slices.SortStableFunc(r.tests, func(a, b *timed) int { return cmp.Compare(a.took, b.took) })
	return nil
}

func (r *runner) measureOne(t *timed) {
	file := filepath.Join(r.scratch, "seen_"+filepath.Base(t.bin)+t.name)
	began := time.Now()
	out, err := runTests(t, []string{t.name}, r.each, "GUARD_SEEN="+file)
	t.took = time.Since(began)
	if err != nil {
		r.log("left out: %s fails with every guard in its place: %s", t.name, firstFailure(out))
		return
	}
	text, _ := os.ReadFile(file)
	for _, id := range strings.Fields(string(text)) {
		if n, err := strconv.Atoi(id); err == nil {
			t.seen[n] = true
		}
	}
}

// runTests runs tests of one binary.
func runTests(t *timed, names []string, limit time.Duration, env string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit+10*time.Second)
	defer cancel()
	which := "^(" + strings.Join(names, "|") + ")$"
	cmd := exec.CommandContext(ctx, t.bin, "-test.run", which, "-test.failfast", "-test.timeout", limit.String())
	cmd.Dir, cmd.WaitDelay = t.dir, 5*time.Second
	cmd.Env = append(os.Environ(), env)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// verdict is what became of a guard that was taken out.
type verdict struct {
	guard  *guard
	killed string // the test that failed
	ran    int    // how many tests it matters in
}

// try takes each guard out and runs the tests in which it matters.
func (r *runner) try(guards []*guard, tell func(verdict)) {
	var wg sync.WaitGroup
	work := make(chan *guard)
	var mu sync.Mutex
	for range r.jobs {
		wg.Go(func() {
			for g := range work {
				v := r.tryOne(g)
				mu.Lock()
				tell(v)
				mu.Unlock()
			}
		})
	}
	for _, g := range guards {
		work <- g
	}
	close(work)
	wg.Wait()
}

// batch is how many tests are run in one process: the quick ones first.
const batch = 8

func (r *runner) tryOne(g *guard) verdict {
	v := verdict{guard: g}
	deadline := time.Now().Add(r.each)
	byBin := map[string][]*timed{}
	var bins []string
	for _, t := range r.tests {
		if t.seen[g.id] {
			if byBin[t.bin] == nil {
				bins = append(bins, t.bin)
			}
			byBin[t.bin] = append(byBin[t.bin], t)
		}
	}
	for _, bin := range bins {
		for some := range slices.Chunk(byBin[bin], batch) {
			if time.Now().After(deadline) {
				return v
			}
			var names []string
			limit := 10 * time.Second
			for _, t := range some {
				names = append(names, t.name)
				limit += 4 * t.took
			}
			v.ran += len(some)
			out, err := runTests(some[0], names, limit, "GUARD_OUT="+strconv.Itoa(g.id))
			var exit *exec.ExitError
			if errors.As(err, &exit) || errors.Is(err, context.DeadlineExceeded) {
				v.killed = firstFailure(out)
				return v
			}
		}
	}
	return v
}

var failure = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)|^panic: (.{0,80})|^fatal error: (.{0,80})`)

func firstFailure(out string) string {
	if m := failure.FindStringSubmatch(out); m != nil {
		return cmp.Or(m[1], m[2], m[3])
	}
	return "ended: " + out[:min(len(out), 200)]
}
