package pages_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pullprint/trigger/fuzztest"
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
	// fuzzHeap is how much a count may add to what is in use when the collector looks: what it may
	// hold, and as much again for what is allocated meanwhile.
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
	watch := fuzztest.New(f, fuzztest.Limit{Time: 2 * fuzzTime, Heap: fuzzHeap})
	f.Fuzz(func(t *testing.T, src []byte, pdf bool) {
		if len(src) > fuzzInput {
			return
		}
		kind := "application/oxps"
		if pdf {
			kind = "application/pdf"
		}
		defer watch.Input(t)()
		ctx, cancel := context.WithTimeout(t.Context(), fuzzTime)
		defer cancel()
		n, err := pages.Count(ctx, bytes.NewReader(src), int64(len(src)), kind)
		if (err == nil) != (n > 0) || (err != nil && !errors.Is(err, pages.ErrUncountable)) {
			t.Errorf("%d, %v", n, err)
		}
		if p, ok := errors.AsType[*pages.PanicError](err); ok {
			t.Errorf("%v\n%s", err, p.Stack)
		}
	})
}
