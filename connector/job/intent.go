package job

import (
	"errors"
	"fmt"
	"time"
)

// The times of an intent.
const (
	// ActWithin is how long an instance may act on a stored intent: enough for two calls of Graph
	// with all their tries (20 s each) and the writes around them.
	ActWithin = 45 * time.Second
	// TakeOver is after how long another instance may take the intent over: the 15 s more than
	// ActWithin are for the last call of a slow instance.
	TakeOver = 60 * time.Second
)

// HandleLimit is how long a worker may take for one task: one that takes longer is stuck.
// The sum behind it is in the table of daemon.loops.
const HandleLimit = 10 * time.Minute

// ErrInvalid says that a request is invalid.
var ErrInvalid = errors.New("invalid")

// ErrBusy says that another goroutine or instance is acting on the job.
var ErrBusy = errors.New("another instance is acting on the job")

// BusyIf is ErrBusy when a compare-and-set did not take place.
func BusyIf(busy bool) error {
	if busy {
		return ErrBusy
	}
	return nil
}

// ErrOutrun says that a record was stored concurrently and has to be read again.
var ErrOutrun = fmt.Errorf("%w: another stored the record first", ErrBusy)
