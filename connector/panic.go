package connector

import (
	"fmt"
	"runtime/debug"
)

// panicked is the error of a panic. The value of a panic may quote the input that was
// being handled, so the error has only its type, and the stack.
type panicked struct {
	kind  string
	stack []byte
}

// Error implements error.
func (p *panicked) Error() string { return "panic (" + p.kind + ")\n" + string(p.stack) }

// catchPanic calls fn and returns a panic of it as an error. Goroutines handle what comes
// from outside by it, so that a panic costs that input and nothing else.
func catchPanic(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{fmt.Sprintf("%T", p), debug.Stack()}
		}
	}()
	return fn()
}
