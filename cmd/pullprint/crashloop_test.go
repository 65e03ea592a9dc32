package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pullprint/connector/arrival"
	"pullprint/connector/bus"
	"pullprint/trigger/graph/graphtest"
)

// TestCrashLoop kills the program with SIGKILL whenever it opens one document, as an
// out-of-memory killer would. The third death is the last: then its task is a dead
// letter, and other jobs are held.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	c := newChaos(t, graphtest.Calm(), 7)
	src := strings.Replace(chaosPolicy, "pages: metadata-only\nbytes_per_page: 40_000\n", "", 1)
	if err := os.WriteFile(filepath.Join(c.dir, "policy.yaml"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	var now atomic.Pointer[process]
	var bad atomic.Pointer[graphtest.JobID]
	var opened atomic.Int64
	var deaths sync.Map // of processes: one may ask for the document again before it is dead
	c.sim.Change(func(k *graphtest.Knobs) {
		k.Intercept = func(op string, r graphtest.Request) graphtest.Fault {
			if op != graphtest.OpDocumentValue {
				return graphtest.Fault{}
			}
			bad.CompareAndSwap(nil, &graphtest.JobID{Printer: r.Printer, Job: r.Job}) // the first document
			if *bad.Load() == (graphtest.JobID{Printer: r.Printer, Job: r.Job}) {
				p := now.Load()
				opened.Add(1)
				deaths.Store(p, true)
				t.Logf("process %d opens the document", p.cmd.Process.Pid)
				p.kill()
				return graphtest.Fault{Drop: true}
			}
			return graphtest.Fault{}
		}
	})
	p := c.start()
	now.Store(p)
	c.ready(p)
	id, err := c.sim.Submit(graphtest.JobSpec{Printer: chaosPull, User: chaosUser, Pages: 3})
	if err != nil {
		t.Fatal(err)
	}
	for life := 1; life <= 3; life++ {
		select {
		case <-p.done:
		case <-time.After(2 * time.Minute):
			t.Fatalf("life %d: the document was opened %d times", life, opened.Load())
		}
		p = c.start() // which may die before it is ready
		now.Store(p)
	}
	c.ready(p)
	good, err := c.sim.Submit(graphtest.JobSpec{Printer: chaosPull, User: chaosUser, Pages: 3})
	if err != nil {
		t.Fatal(err)
	}
	dead := `pullprint_dead_letters_total{reason="crash"} 1`
	if !eventually(2*time.Minute, func() bool {
		_, page := get("http://" + c.metrics + "/metrics")
		return strings.Contains(page, dead) && strings.Contains(page, `pullprint_held_jobs{queue="Follow-Me"} 1`)
	}) {
		t.Errorf("no dead letter, or job %s is not held; the document was opened %d times", good, opened.Load())
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if code, err := p.code(25 * time.Second); err != nil || code != exitDone {
		t.Errorf("SIGTERM: exit code %d, %v", code, err)
	}
	var died int
	deaths.Range(func(any, any) bool { died++; return true })
	if _, again := deaths.Load(p); died != 3 || again {
		t.Errorf("%d processes opened the document, %d times in all, want 3; the last one as well: %t", died, opened.Load(), again)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	b, err := bus.Open(ctx, c.nats, bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	err = b.Dead(ctx, time.Time{}, false, func(_ time.Time, body []byte) error {
		var d arrival.DeadLetter
		if err := json.Unmarshal(body, &d); err != nil {
			return err
		}
		if d.Reason != "crash" || d.Job != id.Job {
			t.Errorf("dead letter %+v", d)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
