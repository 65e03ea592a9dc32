package quota

import (
	"fmt"
	"strings"
	"time"
)

// Charge is what a job costs.
type Charge struct {
	// Job names it, Attempt the try to print it: a reservation is of the newest.
	Job, Attempt string
	// Owner is the Entra object id of whose job it is.
	Owner  string
	Amount Amount
	// Claims are who pays; each must have room.
	Claims []Claim
	Now    time.Time
	// For is what the try is to do with the job, in a word of the caller's: it stays
	// with the reservation, and tells what may have happened when nothing else does.
	For string
	// Printed says that the job may have printed already: then it is charged whether
	// there is room or not, as paper that is out can't be refused.
	Printed bool
	// Since is from when on the job can have ended; zero is ever. What ended before under its
	// name was another job.
	Since time.Time
	// Instead, when set, is the try whose reservation this one takes the place of: an account
	// where the job has none, or one of another try, stays as it is.
	Instead string
}

// superseded reports whether a reservation is not the one that a charge is to take the place of.
func (c *Charge) superseded(had *Reservation) bool {
	return c.Instead != "" && (had == nil || had.Attempt != c.Instead && had.Attempt != c.Attempt)
}

// Check reports what is wrong with a charge, as an ErrCharge.
func (c *Charge) Check() error {
	switch {
	case c.Amount < 0:
		return fmt.Errorf("%w: the amount is negative", ErrCharge)
	case c.Job == "", len(c.Job) > 256, strings.ContainsAny(c.Job, "\x00\n"), c.Attempt == "", len(c.Attempt) > 256:
		return fmt.Errorf("%w: the name of the job or of the attempt is empty, too long or has control characters", ErrCharge)
	case len(c.Claims) == 0:
		return fmt.Errorf("%w: it has no claims", ErrCharge)
	}
	for i := range c.Claims {
		if _, err := ParseAccount(c.Claims[i].Account.Key()); err != nil {
			return fmt.Errorf("%w: %w", ErrCharge, err)
		}
	}
	return nil
}

// Exhausted is the error of a charge that an account has no room for.
type Exhausted struct {
	// Balance is that of the first claim without room.
	Balance Balance
	// Amount is what was asked for, Short by how much it is too much.
	Amount, Short Amount
	// Full is true when the account has as many open reservations as it can have, whatever
	// is left on it: the error is an ErrFull too.
	Full bool
}

// Is reports whether target is ErrFull, for an account that is full.
func (e *Exhausted) Is(target error) bool { return e.Full && target == ErrFull }

// Error implements error.
func (e *Exhausted) Error() string {
	if e.Full {
		return ErrFull.Error()
	}
	return fmt.Sprintf("%s units too much for account %s", e.Short, e.Balance.Account.Key())
}
