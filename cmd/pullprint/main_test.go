package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary the program too: under the name pullprint it
// is what main is, with the race detector if the tests have it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pullprint": main})
}
