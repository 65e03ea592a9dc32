// Package racetest tells tests whether the race detector is built in. With it, everything takes
// about five times as long, and how much memory something holds can't be told: the collector takes
// seconds for one look at the heap and counts what is allocated meanwhile as in use.
package racetest

import "testing"

// Skip skips a test when the race detector is built in. It is for tests that measure, and for those
// that play many cases of what other tests do with the same goroutines. The gate runs the tests
// that call it, or look at Enabled, without the detector.
func Skip(t testing.TB, why string) {
	t.Helper()
	if Enabled {
		t.Skip("not with the race detector: " + why)
	}
}
