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
	"testing"
	"time"

	"pullprint/trigger/racetest"
)

// Limit is what one input may cost at most.
type Limit struct {
	// Time is how long the input may take on a busy machine. With the race detector it is five
	// times as long.
	Time time.Duration
	// Heap is how many bytes may be added to the heap. An input that allocates less than that in
	// all is within it; of one that allocates more, what the collector finds in use counts.
	Heap uint64
}

// Small is the limit of what reads one record, one message or one body of at most 64 KiB: parsing
// that takes milliseconds and less than a megabyte. The rest is for a machine that does other work.
var Small = Limit{Time: 2 * time.Second, Heap: 8 << 20}

// Watch holds each input of a target to a limit.
type Watch struct {
	limit Limit
	base  uint64        // in use before the first input
	most  atomic.Uint64 // what the collector found in use at most since an input began
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

// follow keeps the most that the collector finds in use.
func (w *Watch) follow(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if live := read("/gc/heap/live:bytes"); live > w.most.Load() {
				w.most.Store(live)
			}
		}
	}
}

// Input begins an input; the function that it returns ends it, and fails the test when the input
// took more memory than it may. An input that takes too long ends the process at once, as one that
// never ends could not be found otherwise: the fuzzer keeps it, and the trace shows the loop.
func (w *Watch) Input(t *testing.T) (end func()) {
	w.most.Store(0)
	name := t.Name()
	late := time.AfterFunc(w.limit.Time, func() {
		panic(fmt.Sprintf("%s: one input takes longer than %s", name, w.limit.Time))
	})
	before := read("/gc/heap/allocs:bytes")
	return func() {
		t.Helper()
		late.Stop()
		if read("/gc/heap/allocs:bytes")-before <= w.limit.Heap {
			return
		}
		if live := max(w.most.Load(), read("/gc/heap/live:bytes")); live > w.base+w.limit.Heap {
			t.Errorf("%d MiB are in use, %d MiB before the first input; an input may add %d MiB", live>>20, w.base>>20, w.limit.Heap>>20)
		}
	}
}

// read reads a metric of the runtime.
func read(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
