//go:build race

package pages_test

// raceEnabled tells that the race detector is built in. The collector then takes
// seconds for one look at the heap, and counts what is allocated meanwhile as held.
const raceEnabled = true
