package connector

import (
	"context"
	"time"

	"golang.org/x/sync/singleflight"

	"pullprint/connector/recovery"
)

// flight lets callers that ask for the same thing at the same time share one
// call. The call belongs to none of them: a caller who hangs up fails nobody
// else, and each waits as long as its own context lasts. The zero value is ready.
type flight[V any] struct{ group singleflight.Group }

// result is what a call returned. deadline is that of the caller who began it, when it
// limited the call; else zero.
type result[V any] struct {
	value    V
	deadline time.Time
}

// do calls fn, or waits for the call of another with the same key; joined says
// which. The call may take as long as within, and not longer than whoever began
// it has: what it calls can plan its retries by that. One who has more time and
// joined a call that failed asks again. A panic in fn is an error.
func (f *flight[V]) do(
	ctx context.Context, key string, within time.Duration, fn func(context.Context) (V, error),
) (v V, joined bool, err error) {
	mine, limited := ctx.Deadline()
	for {
		joined := true // singleflight's own Shared is true for the one who began it, too
		done := f.group.DoChan(key, func() (any, error) {
			joined = false
			l := result[V]{}
			end := time.Now().Add(within)
			if limited && mine.Before(end) {
				end, l.deadline = mine, mine
			}
			ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
			defer cancel()
			err := recovery.Catch(func() (err error) {
				l.value, err = fn(ctx)
				return err
			})
			return l, err
		})
		select {
		case r := <-done:
			l, _ := r.Val.(result[V])
			if joined && r.Err != nil && !l.deadline.IsZero() && (!limited || mine.After(l.deadline)) {
				continue
			}
			return l.value, joined, r.Err
		case <-ctx.Done():
			return v, false, ctx.Err()
		}
	}
}
