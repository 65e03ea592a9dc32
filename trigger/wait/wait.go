// Package wait has the waits of this program: for a duration, until a signal, and between
// the retries of something that failed. All end with the caller's context.
package wait

import (
	"context"
	"math/rand/v2"
	"time"
)

// Sleep waits for d, or returns the error of a context that ends before.
func Sleep(ctx context.Context, d time.Duration) error { return For(ctx, d, nil) }

// For is Sleep that ends early, without an error, when wake can be received from.
func For(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-t.C:
	}
	return nil
}

// Backoff is how long to wait between retries: First after the first failure, twice as long
// after each further one, at most Max.
type Backoff struct{ First, Max time.Duration }

// maxDoublings keeps the shift in Pause from overflowing; by then Max has long been reached.
const maxDoublings = 10

// Pause returns the wait after n failures in a row, counted from 1; a lower n, as a damaged record
// may have it, is 1. It is a random value
// between half of the wait and all of it, so that processes that failed together do not
// retry together.
func (b Backoff) Pause(n int) time.Duration {
	d := min(b.First<<min(max(n, 1)-1, maxDoublings), b.Max)
	return d/2 + rand.N(d/2+1)
}

// Jitter returns d or up to a tenth more: for a wait that a server asked all its clients for.
func Jitter(d time.Duration) time.Duration { return d + rand.N(d/10+1) }
