//go:build !race

package racetest

// Enabled is true with the race detector.
const Enabled = false
