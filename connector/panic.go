package connector

import "pullprint/connector/recovery"

// panicked is the error of a panic.
type panicked = recovery.Panic

// catchPanic calls fn and returns a panic of it as an error.
func catchPanic(fn func() error) error { return recovery.Catch(fn) }
