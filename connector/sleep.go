package connector

import (
	"context"
	"time"

	"pullprint/trigger/graph/transport"
)

// sleep waits for a duration, or returns the error of a context that ends before.
func sleep(ctx context.Context, d time.Duration) error { return transport.Sleep(ctx, d) }
