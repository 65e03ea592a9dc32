package main

import (
	"flag"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"pullprint/connector/bus/bustest"
)

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
	testscript.Main(m, map[string]func(){"pullprint": main, natsNode: bustest.Node})
}
