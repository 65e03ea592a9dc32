package inflight

import (
	"context"
	"encoding/json"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/recovery"
)

// Wait notes that a job waits for Graph or the store, until done is called.
func (f *Notes) Wait(ctx context.Context) (done func()) {
	n, ok := ctx.Value(notedKey{}).(*noted)
	if !ok || !n.tracked {
		return func() {}
	}
	f.waits(ctx, n, 1)
	return func() { f.waits(context.WithoutCancel(ctx), n, -1) }
}

// shortWait is how long a call of the store takes as a rule. A process that dies within it
// is taken to have died at the job.
const shortWait = 5 * time.Millisecond

// WaitLong is Wait for what is usually over before it could be noted: it is noted after
// shortWait.
func (f *Notes) WaitLong(ctx context.Context) (done func()) {
	n, ok := ctx.Value(notedKey{}).(*noted)
	if !ok || !n.tracked {
		return func() {}
	}
	written := make(chan struct{})
	t := time.AfterFunc(shortWait, func() {
		defer close(written)
		if err := recovery.Catch(func() error { f.waits(ctx, n, 1); return nil }); err != nil {
			f.log.Debug("note of a wait not written", zap.String("job", n.key), zap.Error(err))
		}
	})
	return func() {
		if t.Stop() {
			return
		}
		<-written
		f.waits(context.WithoutCancel(ctx), n, -1)
	}
}

// waits counts a call of Graph or the store, and writes the note when all that use it begin to wait or
// one of them goes on. When that can't be written, it is tried again with the next call.
func (f *Notes) waits(ctx context.Context, n *noted, calls int) {
	ctx, cancel := context.WithTimeout(ctx, noteWithin)
	defer cancel()
	n.written.Lock()
	defer n.written.Unlock()
	n.waits += calls
	n.step += max(calls, 0)
	f.mu.Lock()
	waiting := n.waits > 0 && n.waits >= n.users
	f.mu.Unlock()
	if waiting == n.waiting || n.revision == 0 {
		return
	}
	text := n.note(f.by, waiting)
	revision, ok, err := f.put(ctx, n.key, text, n.revision)
	if err == nil && ok {
		n.revision, n.waiting = revision, waiting
		return
	}
	f.log.Debug("note of a wait not written", zap.String("job", n.key), zap.Error(err))
	// An earlier write may have happened although its answer was lost.
	if raw, revision, err := f.kv.Get(ctx, n.key); err == nil && json.Unmarshal(raw, &text) == nil && text.By == f.by {
		n.revision, n.waiting = revision, text.Waiting
	}
}
