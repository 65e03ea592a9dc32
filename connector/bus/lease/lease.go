// Package lease lets one of several processes do something alone. A lease is a key that ends
// by itself; its holder renews it. It does not exclude others for certain: a process that was
// suspended may act on a lease that it has lost.
package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/connector/bus/schema"
	"pullprint/connector/bus/stored"
	"pullprint/connector/recovery"
)

var errLeaseLost = errors.New("lease lost")

// leaseAgain is how long Run waits after a panic of fn, so that another process can
// take the lease.
const leaseAgain = 5 * time.Second

// Options are what a lease needs.
type Options struct {
	KV *stored.KV
	// Name is that of the lease; Holder names this process in it.
	Name, Holder string
	// TTL, in whole seconds and at least 3 s, is how long others wait after the holder has died.
	TTL time.Duration
	// Pause waits, and ends early when the connection is back.
	Pause func(context.Context, time.Duration)
	// Lost counts leases that were lost while their holder was at work.
	Lost prometheus.Counter
	Log  *zap.Logger
}

// Run waits for a lease and runs fn while this process holds it. When the lease is lost or
// can't be renewed in time, it cancels the context of fn, waits until fn has returned, and
// waits for the lease again. When fn panics, it waits for leaseAgain and then for the lease
// again. When fn returns otherwise or ctx ends, it gives the lease back and returns the error
// of fn, which may be nil, or of ctx.
func Run(ctx context.Context, o Options, fn func(ctx context.Context) error) error {
	l := &lease{
		kv: o.KV, key: "lease." + schema.Token(o.Name), holder: []byte(o.Holder + " " + rand.Text()),
		ttl: max(o.TTL, 3*time.Second), log: o.Log,
	}
	for {
		if err := l.acquire(ctx); err != nil {
			return err
		}
		err := l.hold(ctx, fn)
		if p, ok := errors.AsType[*recovery.Panic](err); ok && ctx.Err() == nil {
			l.log.Error("work under the lease panicked, started again", zap.Error(p))
			o.Pause(ctx, leaseAgain)
			continue
		}
		if !errors.Is(err, errLeaseLost) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		o.Lost.Inc()
		l.log.Warn("lease lost")
	}
}

type lease struct {
	kv       *stored.KV
	key      string
	holder   []byte
	ttl      time.Duration
	log      *zap.Logger
	revision uint64
	until    time.Time // we believe in it until then: a tenth of ttl before its end
}

// acquire waits for the lease. It tries whenever the lease is given back and,
// because a hint can be lost, once per ttl.
func (l *lease) acquire(ctx context.Context) error {
	watching, stop := context.WithCancel(ctx)
	given := make(chan struct{}, 1)
	watched := make(chan struct{})
	defer func() { stop(); <-watched }()
	started := false
	for {
		if l.try(ctx) {
			if !started {
				close(watched)
			}
			l.log.Info("lease taken")
			return nil
		}
		if !started {
			started = true
			go func() {
				defer close(watched)
				_ = recovery.Catch(func() error { l.watch(watching, given); return nil }) // it is tried once per ttl
			}()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-given:
		case <-time.After(l.ttl):
		}
	}
}

func (l *lease) watch(ctx context.Context, given chan<- struct{}) {
	err := l.kv.Watch(ctx, l.key, func(_ string, value []byte, _ uint64) {
		if value != nil {
			return
		}
		select {
		case given <- struct{}{}:
		default:
		}
	}, func() {})
	if err != nil && ctx.Err() == nil {
		l.log.Warn("lease watch failed", zap.Error(err))
	}
}

// try takes the lease if it is free. The lease starts before the write leaves,
// so that we never believe in it for longer than the server does.
func (l *lease) try(ctx context.Context) bool {
	start := time.Now()
	try, cancel := context.WithTimeout(ctx, l.ttl/3)
	defer cancel()
	revision, ok, err := l.kv.CompareAndSet(try, l.key, l.holder, 0, l.ttl)
	if err != nil {
		// Perhaps we have it now: then it ends by itself.
		if ctx.Err() == nil { // of the try's own end nobody else tells
			l.log.Warn("lease not acquired", zap.Error(err))
		}
		return false
	}
	l.revision, l.until = revision, start.Add(l.ttl-l.ttl/10)
	return ok
}

// hold runs fn and keeps the lease meanwhile, also while fn is finishing after
// the end of ctx.
func (l *lease) hold(ctx context.Context, fn func(context.Context) error) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	keeping := context.WithoutCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- recovery.Catch(func() error { return fn(running) }) }()
	tick := time.NewTicker(l.ttl / 3)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			l.release(keeping)
			if err == nil {
				err = ctx.Err()
			}
			return err
		case <-tick.C:
		}
		if !l.renew(keeping) {
			cancel()
			if err := <-ended; err != nil {
				l.log.Debug("work under the lease stopped", zap.Error(err))
			}
			return errLeaseLost
		}
	}
}

// renew prolongs the lease, trying until the last moment; false: it is lost.
func (l *lease) renew(ctx context.Context) bool {
	for {
		start := time.Now()
		if !start.Before(l.until) {
			return false
		}
		try, cancel := context.WithTimeout(ctx, min(l.ttl/3, l.until.Sub(start)))
		revision, ok, err := l.kv.CompareAndSet(try, l.key, l.holder, l.revision, l.ttl)
		cancel()
		if err == nil && ok {
			l.revision, l.until = revision, start.Add(l.ttl-l.ttl/10)
			return true
		}
		if err == nil && !l.stillOurs(ctx) {
			return false
		}
		<-time.After(min(l.ttl/10, max(0, time.Until(l.until))))
	}
}

// stillOurs looks after a conflict: an earlier renewal whose answer was lost
// may have been stored after all.
func (l *lease) stillOurs(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, l.ttl/3)
	defer cancel()
	value, revision, err := l.kv.Get(ctx, l.key)
	if err != nil {
		return true // unknown: try on while it lasts
	}
	if revision == 0 || string(value) != string(l.holder) {
		return false
	}
	l.revision = revision
	return true
}

// release gives the lease back; if that fails it ends by itself.
func (l *lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := l.kv.Delete(ctx, l.key, l.revision); err != nil {
		l.log.Warn("lease not released", zap.Error(err))
	}
}

// DropAll ends every lease in an embedded store: who had one is dead, as the store is ours
// alone, and nobody has to wait for its end.
func DropAll(ctx context.Context, kv *stored.KV) error {
	held := map[string]uint64{}
	err := kv.Each(ctx, "lease.*", func(key string, _ []byte, revision uint64) error {
		held[key] = revision
		return nil
	})
	for key, revision := range held {
		if err == nil {
			_, err = kv.Delete(ctx, key, revision)
		}
	}
	if err != nil {
		return fmt.Errorf("drop the leases of the process before: %w", err)
	}
	return nil
}
