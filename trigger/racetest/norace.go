//go:build !race

// Package racetest tells tests whether the race detector is built in.
package racetest

// Enabled is true with the race detector.
const Enabled = false
