// Package recovery turns panics into errors. Goroutines handle input from outside by it,
// so that a panic costs that input and nothing else.
package recovery

import (
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
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

// Each calls fn with 0 to n-1, atOnce of them at a time, and waits for all. A panic ends one call alone; the
// error is that of the first.
func Each(n, atOnce int, fn func(i int)) error {
	var calls errgroup.Group
	calls.SetLimit(atOnce)
	for i := range n {
		calls.Go(func() error { return Catch(func() error { fn(i); return nil }) })
	}
	return calls.Wait()
}
