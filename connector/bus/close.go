package bus

import (
	"context"
	"errors"
	"time"

	"pullprint/connector/bus/fault"
	"pullprint/connector/bus/schema"
)

// Close waits for what is under way, disconnects, stops the embedded server
// and releases the store directory. Calling it again does nothing.
func (b *Bus) Close() error {
	b.once(b.shutdown)
	return b.closed
}

// once ends b by what the first caller wants; others wait for that.
func (b *Bus) once(end func()) {
	if b.closing.Swap(true) {
		<-b.ended
		return
	}
	defer close(b.ended)
	end()
}

// signOff removes the canary, so that other replicas see that this one has ended.
func (b *Bus) signOff() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	key := schema.Canary(b.instance)
	if _, revision, err := b.state.Get(ctx, key); err == nil && revision > 0 {
		_, _ = b.state.Delete(ctx, key, revision) // it goes by itself, later
	}
}

func (b *Bus) shutdown() {
	if b.cfg.Embedded == nil && b.writers != nil && b.link.NC.IsConnected() {
		b.signOff()
	}
	b.holds.close()
	for _, w := range b.writers {
		w.Close()
	}
	var marked error
	if b.marks != nil {
		marked = b.marks.Close()
	}
	if b.link.NC != nil {
		if b.link.NC.IsConnected() {
			// Acks are fire and forget: let the last ones out.
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			_ = b.link.NC.FlushWithContext(ctx)
			cancel()
		}
		b.link.NC.Close()
		b.link.EndSessions(fault.ErrClosed)
	}
	if b.srv != nil {
		b.srv.Shutdown()
		b.srv.WaitForShutdown()
	}
	if b.kept != nil {
		marked = errors.Join(marked, b.kept.PutBack())
	}
	if b.inflight != nil {
		marked = errors.Join(marked, b.inflight.Close())
	}
	if b.lock != nil {
		b.closed = b.lock.Close()
	}
	b.closed = errors.Join(marked, b.closed)
	b.metrics.unregister()
}

// Crash is for tests (see bustest.Kill). It ends the embedded server nearly as
// kill -9 would: the connection is cut with whatever is on its way, and then
// snapshot is called, to copy the store as it is on disk before anything is
// flushed.
func (b *Bus) Crash(snapshot func() error) error {
	if b.srv == nil {
		return errors.New("crash: no embedded server")
	}
	var err error
	b.once(func() {
		if id, cerr := b.link.NC.GetClientID(); cerr == nil {
			_ = b.srv.DisconnectClientByID(id)
		}
		b.link.NC.Close()
		b.link.EndSessions(fault.ErrClosed)
		err = snapshot()
		b.shutdown()
		err = errors.Join(err, b.closed)
	})
	return err
}
