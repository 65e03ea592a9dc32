package main

import (
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"pullprint/connector/bus/bustest"
)

// raceOptions is the variable that a race detector reads its options from.
const raceOptions = "GORACE"

// TestMain makes the test binary the program too: under the name pullprint it
// is what main is, with the race detector if the tests have it.
//
// Under the name of natsNode it is a NATS server.
//
// The tests here wait for processes more than they compute, so more of them run
// at once than there are cores, unless -parallel says otherwise.
func TestMain(m *testing.M) {
	if f := flag.Lookup("test.parallel"); f != nil {
		_ = f.Value.Set("8")
	}
	// With the race detector a process sleeps for a second before it exits.
	if os.Getenv(raceOptions) == "" {
		_ = os.Setenv(raceOptions, "atexit_sleep_ms=0")
	}
	testscript.Main(m, map[string]func(){"pullprint": main, natsNode: bustest.Node})
}
