// Package fuzztest bounds what one input of a fuzz target may cost in memory and time. It is
// for tests of all packages.
package fuzztest

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pullprint/trigger/racetest"
)

// Limit is what one input may cost at most.
type Limit struct {
	// Time is how long the input may compute. With the race detector it is five times as long. The
	// time of the processor counts, as on a busy machine nothing else can be told; an input that waits
	// instead of computing may take maxWait times as long.
	Time time.Duration
	// Heap is how many bytes may be added to the heap. An input that allocates less than that in
	// all is within it; of one that allocates more, what the collector finds in use counts.
	Heap uint64
}

// Small is the limit of what reads one record, one message or one body of at most 64 KiB: parsing
// that takes milliseconds and less than a megabyte. The rest is for the counters of the fuzzer.
var Small = Limit{Time: 2 * time.Second, Heap: 8 << 20}

// maxWait is how often a busy machine may take the processor away from an input: the gate has been
// seen to share two cores with eight others.
const maxWait = 30

// Watch holds each input of a target to a limit.
type Watch struct {
	limit Limit
	base  uint64                // in use before the first input
	most  atomic.Uint64         // what the collector found in use at most since an input began
	now   atomic.Pointer[input] // nil between inputs
}

// input is one that was begun.
type input struct {
	name string
	at   time.Time
	cpu  time.Duration // of the process until then
}

// New watches the inputs of f until it ends.
func New(f *testing.F, limit Limit) *Watch {
	f.Helper()
	if racetest.Enabled {
		limit.Time *= 5
	}
	debug.SetTraceback("all") // for an input that takes too long: which loop does not end
	runtime.GC()              // what earlier tests left
	w := &Watch{limit: limit, base: read("/gc/heap/live:bytes")}
	ctx, cancel := context.WithCancel(f.Context())
	done := make(chan struct{})
	f.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		w.follow(ctx)
	}()
	return w
}

// follow keeps the most that the collector finds in use, and ends the process when an input takes
// too long: one that never ends could not be told otherwise. The fuzzer keeps such an input, and the
// trace shows where it is.
func (w *Watch) follow(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if live := read("/gc/heap/live:bytes"); live > w.most.Load() {
			w.most.Store(live)
		}
		if in := w.now.Load(); in != nil {
			if took := cpuTime() - in.cpu; took > w.limit.Time || time.Since(in.at) > maxWait*w.limit.Time {
				panic(fmt.Sprintf("%s: one input computes for %s since %s; it may for %s", in.name, took, in.at, w.limit.Time))
			}
		}
	}
}

// Input begins an input; the function that it returns ends it, and fails the test when the input
// took more memory than it may.
func (w *Watch) Input(t *testing.T) (end func()) {
	w.most.Store(0)
	w.now.Store(&input{t.Name(), time.Now(), cpuTime()})
	before := read("/gc/heap/allocs:bytes")
	return func() {
		t.Helper()
		w.now.Store(nil)
		if read("/gc/heap/allocs:bytes")-before <= w.limit.Heap {
			return
		}
		if live := max(w.most.Load(), read("/gc/heap/live:bytes")); live > w.base+w.limit.Heap {
			t.Errorf("%d MiB are in use, %d MiB before the first input; an input may add %d MiB", live>>20, w.base>>20, w.limit.Heap>>20)
		}
	}
}

// cpuTime is how long the process has computed.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0 // the wait counts
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// read reads a metric of the runtime.
func read(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
