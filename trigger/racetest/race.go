//go:build race

// Package racetest tells tests whether the race detector is built in. With it, the collector
// takes seconds for one look at the heap and counts what is allocated meanwhile as in use, so
// that how much memory something holds can't be told; and everything takes about ten times as
// long.
package racetest

// Enabled is true with the race detector.
const Enabled = true
