package fuzztest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pullprint/trigger/fuzztest"
)

// costs is what the input of FuzzCosts does; empty for what is within the limit.
const costs = "PULLPRINT_FUZZTEST_COSTS"

var held []byte

// FuzzCosts is the target that TestLimit runs.
func FuzzCosts(f *testing.F) {
	limit := time.Minute
	if os.Getenv(costs) == "time" {
		limit = 100 * time.Millisecond
	}
	watch := fuzztest.New(f, fuzztest.Limit{Time: limit, Heap: 1 << 20})
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, in []byte) {
		defer watch.Input(t)()
		switch os.Getenv(costs) {
		case "memory":
			for range 64 { // so that the collector runs before the end
				held = append(held, make([]byte, 1<<20)...)
			}
		case "time":
			for { //nolint:staticcheck // it computes without an end
			}
		default:
			held = append(held[:0], in...)
		}
	})
}

// An input that takes more memory or time than it may fails its target.
func TestLimit(t *testing.T) {
	for what, want := range map[string]string{"": "PASS", "memory": "MiB are in use", "time": "one input computes for"} {
		run := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^FuzzCosts$") //nolint:gosec // this test itself
		run.Env = append(os.Environ(), costs+"="+what)
		out, err := run.CombinedOutput()
		if (err != nil) != (what != "") || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v\n%s", what, err, out)
		}
	}
}
