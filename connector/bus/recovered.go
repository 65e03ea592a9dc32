package bus

import (
	"fmt"
	"runtime/debug"
)

// panicked is what a panic became: what it said may quote what was being handled, so
// only its type is told, and where it was.
type panicked struct {
	kind  string
	stack []byte
}

// Error implements error.
func (p *panicked) Error() string { return "panic (" + p.kind + ")\n" + string(p.stack) }

// recovered calls fn and makes an error of its panic.
func recovered(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{fmt.Sprintf("%T", p), debug.Stack()}
		}
	}()
	return fn()
}
