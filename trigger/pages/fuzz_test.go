package pages_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"pullprint/trigger/pages"
)

const (
	// fuzzSeed is how large a seed is at most. The fuzzer copies, mutates and runs
	// each of them many thousand times: the smaller they are, the more it tries.
	fuzzSeed = 2 << 10
	// fuzzInput is how large an input is at most; a mutation may be larger than its
	// seed. TestHostile looks at larger documents.
	fuzzInput = 8 << 10
	// fuzzTime is how long one count may take, on a busy machine. It ends of itself
	// after about three seconds of a core, without the counters of the fuzzer.
	fuzzTime = 20 * time.Second
	// fuzzHeap is how much may be in use when the collector looks: what a count may
	// hold, and as much again for what is allocated meanwhile, and for the fuzzer.
	fuzzHeap = 2 * mostHeld
)

// FuzzCount looks for an input that panics, or takes more time or memory than a
// count may. Run it with -fuzzminimizetime 10x: by default the fuzzer shrinks each
// new input for up to a minute, and tries none meanwhile.
func FuzzCount(f *testing.F) {
	paths := documents(f)
	for _, c := range troubles(f) {
		paths = append(paths, c.path)
	}
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if len(src) <= fuzzSeed {
			f.Add(src, filepath.Ext(path) == ".pdf")
		}
	}
	heap := watchHeap(f)
	f.Fuzz(func(t *testing.T, src []byte, pdf bool) {
		if len(src) > fuzzInput {
			return
		}
		kind := "application/oxps"
		if pdf {
			kind = "application/pdf"
		}
		ctx, cancel := context.WithTimeout(t.Context(), fuzzTime)
		defer cancel()
		n, err := pages.Count(ctx, bytes.NewReader(src), int64(len(src)), kind)
		if (err == nil) != (n > 0) || (err != nil && !errors.Is(err, pages.ErrUncountable)) {
			t.Errorf("%d, %v", n, err)
		}
		if p, ok := errors.AsType[*pages.PanicError](err); ok {
			t.Errorf("%v\n%s", err, p.Stack)
		}
		if held := heap.Swap(0); held > fuzzHeap {
			t.Errorf("%d MiB are in use", held>>20)
		}
	})
}

// watchHeap tells how much the collector found in use at most since it was last asked.
func watchHeap(f *testing.F) *atomic.Uint64 {
	runtime.GC() // what earlier tests left
	var most atomic.Uint64
	end := make(chan struct{})
	f.Cleanup(func() { close(end) })
	go func() {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				metrics.Read(sample)
				if held := sample[0].Value.Uint64(); held > most.Load() {
					most.Store(held)
				}
			}
		}
	}()
	return &most
}
