package cache

import (
	"context"
	"time"

	"golang.org/x/sync/singleflight"

	"pullprint/connector/recovery"
)

// Flight lets concurrent callers with the same key share one call. The call is independent
// of their contexts: a caller whose context ends stops waiting, and the call goes on for the
// others. The zero value is ready to use.
type Flight[V any] struct{ group singleflight.Group }

// result is what a call returned. deadline is that of the caller who began it, when it
// limited the call; else zero.
type result[V any] struct {
	value    V
	deadline time.Time
}

// Do calls fn, or waits for a call with the same key that is under way; joined reports
// which. The call may take as long as within, but ends with the deadline of the caller that
// began it, so that fn can plan its retries. A caller with a later deadline that joined a
// call which failed calls again. A panic in fn is returned as an error.
func (f *Flight[V]) Do(
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
