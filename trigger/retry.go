package trigger

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"pullprint/trigger/wait"
)

// backoff spaces the retries of what Graph or State refuses. The longest pause is half of the
// minute within which a lost subscription has to be replaced.
var backoff = wait.Backoff{First: time.Second, Max: 30 * time.Second}

// failureLog logs each failure of a step, and its first success after failures. It is for one
// goroutine.
type failureLog struct {
	log     *zap.Logger
	failing map[string]bool // by the name of the step
}

func newFailureLog(log *zap.Logger) failureLog {
	return failureLog{log: log, failing: map[string]bool{}}
}

func (l failureLog) note(step string, err error) {
	switch {
	case err != nil:
		l.failing[step] = true
		l.log.Warn("failed, retrying", zap.String("what", step), zap.Error(err))
	case l.failing[step]:
		delete(l.failing, step)
		l.log.Info("works again", zap.String("what", step))
	}
}

// retry calls f until it succeeds or ctx ends, and returns nil or ctx's error.
func retry(ctx context.Context, log *zap.Logger, what string, f func(context.Context) error) error {
	failures := newFailureLog(log)
	for n := 1; ; n++ {
		began := time.Now()
		err := f(ctx)
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		failures.note(what, err)
		if err == nil {
			return nil
		}
		if time.Since(began) > 2*backoff.Max {
			n = 1 // f worked for a while, so this failure is a new one
		}
		if err := wait.Sleep(ctx, backoff.Pause(n)); err != nil {
			return err
		}
	}
}

// refresher joins concurrent callers into shared reads. It differs from a singleflight: a
// caller needs a read that began after its own call, because what it waits for may have been
// stored only just before. Use newRefresher; the zero value does not work.
type refresher struct {
	read    func(context.Context) error
	slot    chan struct{} // held while reading
	started atomic.Uint64 // reads begun so far
	good    uint64        // the last read that succeeded; guarded by slot
}

func newRefresher(read func(context.Context) error) *refresher {
	return &refresher{read: read, slot: make(chan struct{}, 1)}
}

// do waits for the slot and reads, unless by then a read that began after the call has
// succeeded.
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
