package trigger

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"pullprint/trigger/wait"

	"go.uber.org/zap"
)

// The pause between two tries grows from the first to the last.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// pause is how long to wait after the n-th failure in a row (from 1), with
// jitter, so that replicas don't come in step.
func pause(n int) time.Duration {
	d := min(firstPause<<min(n-1, 10), lastPause)
	return d/2 + rand.N(d/2+1)
}

// retry calls f until it succeeds or ctx ends, and returns nil or ctx's error.
func retry(ctx context.Context, log *zap.Logger, what string, f func(context.Context) error) error {
	failing := false
	began := time.Now()
	for n := 1; ; n++ {
		err := f(ctx)
		if err == nil {
			if failing {
				log.Info("works again", zap.String("what", what))
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > 2*lastPause {
			n = 1 // it worked for a while
		}
		failing = true
		log.Warn("failed, comes again", zap.String("what", what), zap.Error(err))
		if err := wait.Sleep(ctx, pause(n)); err != nil {
			return err
		}
		began = time.Now()
	}
}

// refresher joins callers into shared reads. A caller needs a read that
// began after its call. Use newRefresher; the zero value does not work.
type refresher struct {
	read    func(context.Context) error
	slot    chan struct{} // held while reading
	started atomic.Uint64
	good    uint64 // the last read that succeeded; guarded by slot
}

func newRefresher(read func(context.Context) error) *refresher {
	return &refresher{read: read, slot: make(chan struct{}, 1)}
}

// do waits for the slot and reads, unless a read that began after the call has succeeded
// by then.
func (r *refresher) do(ctx context.Context) error {
	want := r.started.Load() + 1
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r.slot <- struct{}{}:
	}
	defer func() { <-r.slot }()
	if r.good >= want {
		return nil
	}
	n := r.started.Add(1)
	if err := r.read(ctx); err != nil {
		return err
	}
	r.good = n
	return nil
}
