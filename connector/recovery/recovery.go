// Package recovery turns panics into errors. Goroutines handle input from outside by it,
// so that a panic costs that input and nothing else.
package recovery

import (
	"fmt"
	"runtime/debug"
)

// Panic is the error of a panic. The value of a panic may quote the input that was being
// handled, so the error has only its type, and the stack.
type Panic struct {
	kind  string
	stack []byte
}

// Error implements error.
func (p *Panic) Error() string { return "panic (" + p.kind + ")\n" + string(p.stack) }

// Catch calls fn and returns its error, or a *Panic if it panicked.
func Catch(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Panic{fmt.Sprintf("%T", p), debug.Stack()}
		}
	}()
	return fn()
}
