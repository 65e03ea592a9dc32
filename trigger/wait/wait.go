// Package wait waits for a while.
package wait

import (
	"context"
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
