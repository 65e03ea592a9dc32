package connector

import (
	"errors"
	"fmt"
	"time"
)

// How long an instance may act on a stored intent, and after how long another instance may
// take the intent over. The 15 s between them are for the last call of a slow instance.
const (
	actWithin = 45 * time.Second
	takeOver  = 60 * time.Second
)

// HandleLimit is how long a worker may take for one task: one that takes longer is stuck.
// The sum behind it is in the table of daemon.loops.
const HandleLimit = 10 * time.Minute

// maxConflicts is how often a change is tried again after a concurrent update.
const maxConflicts = 8

// ErrInvalid says that a request is invalid.
var ErrInvalid = errors.New("invalid")

// errBusy says that another goroutine or instance is acting on the job.
var errBusy = errors.New("another instance is acting on the job")

// errBusyIf is errBusy when a compare-and-set did not take place.
func errBusyIf(busy bool) error {
	if busy {
		return errBusy
	}
	return nil
}

// errOutrun says that a record was stored concurrently and has to be read again.
var errOutrun = fmt.Errorf("%w: another stored the record first", errBusy)
