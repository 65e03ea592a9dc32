package main

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pullprint/trigger/graph/graphtest"
)

var heldCount = flag.Int("held.jobs", 0, "how many jobs TestManyHeld holds; 0: it is left out, 100000 are promised")

const (
	// heldMemory is the memory of the container in the deployment, and heldHeap how much of it the program
	// may keep on its heap with 100,000 held jobs once all is quiet. As much again is garbage before the
	// collector runs; the rest is for bursts and what is not heap.
	heldMemory = 512 << 20
	heldHeap   = 150 << 20
	// heldReady is how soon a process is ready that was killed. Tests of others may run beside it.
	heldReady = 3 * time.Second
	// heldBurst is how many jobs come at once: a lecture hall that prints.
	heldBurst = 2000
	// heldOwners is how many people the jobs are of.
	heldOwners = 1000
)

// TestManyHeld lets the program hold many jobs in the memory of the container that it is deployed in, by
// a cgroup if this machine lets it. They come in bursts; then there are sweeps, a backup, kill -9 and a
// start, and sweeps again. It survives, its heap is small when all is quiet, and it is ready soon.
func TestManyHeld(t *testing.T) {
	if *heldCount == 0 {
		t.Skip("it takes minutes: -held.jobs 100000")
	}
	h := newManyHeld(t)
	p := h.run()
	h.ready(p)
	h.sample("empty")
	for sent := 0; sent < *heldCount; {
		burst := min(heldBurst, *heldCount-sent)
		for range burst {
			if _, err := h.sim.Submit(graphtest.JobSpec{Printer: chaosPull, User: tapperUPN(sent % heldOwners)}); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		h.holds(p, sent)
		if sent%(10*heldBurst) == 0 {
			h.sample(strconv.Itoa(sent))
		}
	}
	h.sample("all are held")
	h.quiet(p, "after two sweeps")
	out, err := exec.CommandContext(t.Context(), "pullprint", "backup", "--config", filepath.Join(h.dir, "config.yaml"),
		filepath.Join(h.dir, "backup")).CombinedOutput()
	if err != nil {
		t.Errorf("backup: %v\n%s", err, out)
	}
	h.sample("after a backup")
	p.kill()
	began := time.Now()
	p = h.run()
	h.ready(p)
	took, computed := time.Since(began), h.read()["process_cpu_seconds_total"]
	h.holds(p, *heldCount)
	t.Logf("after kill -9: ready after %s, of which it computed %.1f s; all jobs known after %s",
		took.Round(time.Millisecond), computed, time.Since(began).Round(time.Millisecond))
	if took > heldReady {
		t.Errorf("ready %s after kill -9, want %s", took, heldReady)
	}
	h.sample("after kill -9")
	h.quiet(p, "two sweeps after it")
	h.alive(p)
}

// manyHeld is the tenant with a cgroup for its process.
type manyHeld struct {
	*chaos
	group string // folder of the cgroup; empty if there can be none
	peak  string // its file with the most that was used
}

func newManyHeld(t *testing.T) *manyHeld {
	t.Helper()
	h := &manyHeld{chaos: newChaos(t, graphtest.Calm(), 1)}
	for i := tappers; i < heldOwners; i++ {
		h.sim.AddUser(graphtest.User{ID: tapperID(i), UPN: tapperUPN(i)})
	}
	file := filepath.Join(h.dir, "config.yaml")
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, bytes.Replace(text, []byte("max_store: 256MiB"), []byte("max_store: 2GiB"), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.on(t.TempDir()) // on a disk: a file system in memory is memory of the cgroup
	h.cgroup()
	return h
}

// cgroup makes a cgroup with the memory of the container, by version 1 or 2, whichever there is.
func (h *manyHeld) cgroup() {
	h.Helper()
	for _, v := range []struct{ folder, limit, peak string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"},
		{"/sys/fs/cgroup", "memory.max", "memory.peak"},
	} {
		group := filepath.Join(v.folder, fmt.Sprintf("pullprint-test-%d", os.Getpid()))
		if os.Mkdir(group, 0o755) != nil {
			continue
		}
		h.Cleanup(func() { _ = os.Remove(group) })
		if err := os.WriteFile(filepath.Join(group, v.limit), []byte(strconv.Itoa(heldMemory)), 0o600); err != nil {
			h.Log(err)
			continue
		}
		h.group, h.peak = group, filepath.Join(group, v.peak)
		return
	}
	h.Log("there is no cgroup here: nothing but GOMEMLIMIT bounds the memory")
}

// run starts the program as the deployment does: in the cgroup, with GOMEMLIMIT set to the memory of the
// container.
func (h *manyHeld) run() *process {
	h.Helper()
	script := "exec pullprint run --config config.yaml"
	if h.group != "" {
		script = "echo $$ > " + filepath.Join(h.group, "cgroup.procs") + " && " + script
	}
	env := append(os.Environ(), "GOMEMLIMIT="+strconv.Itoa(heldMemory))
	p, err := startCommand(h.dir, env, exec.Command("sh", "-c", script))
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(p.kill)
	return p
}

// holds waits until the program knows of so many held jobs.
func (h *manyHeld) holds(p *process, n int) {
	h.Helper()
	if !eventually(10*time.Minute, func() bool {
		select {
		case <-p.done:
			h.Fatalf("the process has ended: %s\n%s", p.cmd.ProcessState, tail(p.err.String(), 4000))
		case <-time.After(50 * time.Millisecond): // each look makes the page of all metrics
		}
		_, page := get("http://" + h.metrics + "/metrics")
		m := heldJobs.FindStringSubmatch(page)
		return m != nil && m[1] == strconv.Itoa(n)
	}) {
		h.Fatalf("not %d jobs are held", n)
	}
}

var metricLine = regexp.MustCompile(`(?m)^(go_memstats_heap_inuse_bytes|go_memstats_next_gc_bytes|process_resident_memory_bytes|` +
	`process_cpu_seconds_total|pullprint_sweeps_total\{result="ok"\}) (\S+)$`)

// sample logs how much memory the process has now, and returns what of its heap is live.
func (h *manyHeld) sample(when string) (heap float64) {
	h.Helper()
	v := h.read()
	h.Logf("%-22s heap in use %3.0f MB, live %3.0f MB, RSS %3.0f MB, cgroup at most %s MB", when+":",
		v["go_memstats_heap_inuse_bytes"]/1e6, live(v)/1e6, v["process_resident_memory_bytes"]/1e6, h.most())
	return live(v)
}

// live is what the newest garbage collection found in use. With GOGC at 100 the next one comes when the
// heap is twice as large. What of the heap is in use at a moment is up to as much garbage.
func live(metrics map[string]float64) float64 { return metrics["go_memstats_next_gc_bytes"] / 2 }

func (h *manyHeld) read() map[string]float64 {
	h.Helper()
	code, page := get("http://" + h.metrics + "/metrics")
	if code != http.StatusOK {
		h.Fatal(code, page)
	}
	values := map[string]float64{}
	for _, m := range metricLine.FindAllStringSubmatch(page, -1) {
		values[m[1]], _ = strconv.ParseFloat(m[2], 64)
	}
	return values
}

// most is the most memory that the cgroup has had, files in the cache of the kernel included.
func (h *manyHeld) most() string {
	text, err := os.ReadFile(h.peak)
	n, err2 := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || err2 != nil {
		return "?"
	}
	return strconv.FormatInt(n/1e6, 10)
}

// quiet waits for two sweeps, and looks that what is live of the heap is small then: at its least, as
// what a sweep needs is live while it runs.
func (h *manyHeld) quiet(p *process, when string) {
	h.Helper()
	const sweeps = `pullprint_sweeps_total{result="ok"}`
	first := h.read()[sweeps]
	least := h.sample(when + ", begin")
	if !eventually(10*time.Minute, func() bool {
		select {
		case <-p.done:
			h.Fatalf("the process has ended: %s\n%s", p.cmd.ProcessState, tail(p.err.String(), 4000))
		case <-time.After(time.Second):
		}
		v := h.read()
		least = min(least, live(v))
		return v[sweeps] >= first+2
	}) {
		h.Error("there are no sweeps")
	}
	h.sample(when)
	h.Logf("%s: at least %.0f MB of heap are live", when, least/1e6)
	if least > heldHeap {
		h.Errorf("%s: %.0f MB of heap are live, want %d", when, least/1e6, heldHeap/1_000_000)
	}
}
