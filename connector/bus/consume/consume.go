// Package consume hands the tasks of the stream to workers, each to one of them, and keeps a
// task from others for as long as its worker takes. At most two tasks for each worker are held.
package consume

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"pullprint/connector/bus/fault"
	"pullprint/connector/bus/link"
	"pullprint/connector/bus/schema"
	"pullprint/connector/bus/write"
	"pullprint/connector/store"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

const (
	// beatEvery is how often the server is told that a task is still being handled: three
	// times within store.AckWait, so that two of them may be lost.
	beatEvery = 10 * time.Second
	// drainLimit is how long the tasks in hand may take at the end: the daemon has to end
	// within 25 s.
	drainLimit = 20 * time.Second
	// stallLimit is how long no task may come before the server is asked whether there is
	// one: three fetches that brought nothing.
	stallLimit = 15 * time.Second
	// fetchFor is how long one request for tasks stays open.
	fetchFor     = 5 * time.Second
	fetchBackoff = 500 * time.Millisecond
)

// FetchLimit is how long a turn of the loop that fetches tasks may take: one that takes
// longer is stuck. The sum behind it is in the table of daemon.loops.
const FetchLimit = time.Minute

// Tasks are those of a store. One Consume may run at a time.
type Tasks struct {
	link        *link.Link
	log         *zap.Logger
	rebuilds    prometheus.Counter
	redelivered prometheus.Counter

	running atomic.Pointer[consumption] // nil when nothing is consumed
}

// New returns the tasks of a store. It counts how often the consumer was rebuilt, and what was
// delivered again.
func New(l *link.Link, log *zap.Logger, rebuilds, redelivered prometheus.Counter) *Tasks {
	return &Tasks{link: l, log: log, rebuilds: rebuilds, redelivered: redelivered}
}

// Consume calls h with each task, workers at a time, until ctx ends. While h
// runs the task is kept from others; the time it takes doesn't matter. There is
// no limit of attempts here: to give a task up, h publishes it as dead and returns
// Done. When ctx ends, the tasks in hand are finished: the context of h lives on
// for 20 s, then it is cancelled. Returns the error of ctx, or an error
// when the bus is closed. A panic in h is not caught.
func (t *Tasks) Consume(
	ctx context.Context, workers int, h func(context.Context, store.Delivery) store.Disposition,
) error {
	if workers < 1 || 4*workers > schema.MaxAckPending {
		return fmt.Errorf("consume tasks: %d workers, want 1 to %d", workers, schema.MaxAckPending/4)
	}
	handling, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	c := &consumption{
		Tasks:    t,
		capacity: 2 * workers,
		work:     make(chan jetstream.Msg, 2*workers),
		freed:    make(chan struct{}, 1),
		held:     make(map[jetstream.Msg]time.Time),
	}
	t.running.Store(c)
	var working, beating sync.WaitGroup
	for range workers {
		working.Go(func() {
			for msg := range c.work {
				c.handle(handling, msg, h)
			}
		})
	}
	idle := make(chan struct{})
	beating.Go(func() { c.beat(idle) })

	err := c.fetch(ctx)
	t.running.Store(nil)
	c.giveBack()
	close(c.work)
	stop := time.AfterFunc(drainLimit, cancel)
	working.Wait()
	stop.Stop()
	close(idle)
	beating.Wait()
	return err
}

// consumption is one run of Consume.
type consumption struct {
	*Tasks

	capacity int                // of held messages: one in work and one waiting, per worker
	work     chan jetstream.Msg // never blocks the sender: it has room for all that is held
	freed    chan struct{}
	last     uint64 // of what was delivered for the first time; the loop that fetches has it
	gaps     []gap

	mu        sync.Mutex                  // guards what follows
	held      map[jetstream.Msg]time.Time // delivered to us and not yet answered; since when a worker has it, or zero
	delivered time.Time                   // when the last message came, or the wait for one began
	turned    time.Time                   // when the loop that fetches last turned
	waits     bool                        // it waits for a worker
	failed    int                         // how often in a row the consumer or a fetch failed
	failure   error                       // the last of it
}

// fetchFails is how many fetches in a row may fail before readiness reports it: the first
// one after a lost connection always does.
const fetchFails = 3

// Fetching returns why no tasks can be fetched; nil while they can, or nothing is consumed.
func (t *Tasks) Fetching() error {
	c := t.running.Load()
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed < fetchFails {
		return nil
	}
	return fmt.Errorf("tasks can't be fetched: %w", c.failure)
}

// fetched records how an attempt to fetch ended, and waits after a failure.
func (c *consumption) fetched(ctx context.Context, err error) {
	c.mu.Lock()
	if c.failed++; err == nil {
		c.failed = 0
	}
	c.failure = err
	c.mu.Unlock()
	if err != nil {
		c.link.Pause(ctx, fetchBackoff)
	}
}

// Consuming returns when the loop of Consume that fetches tasks last turned, and
// since when a worker has had its task, of the worker that has had one longest. Each is
// zero when there is no such task, or the loop doesn't run or waits for a worker.
func (t *Tasks) Consuming() (turned, oldest time.Time) {
	c := t.running.Load()
	if c == nil {
		return time.Time{}, time.Time{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, since := range c.held {
		if !since.IsZero() && (oldest.IsZero() || since.Before(oldest)) {
			oldest = since
		}
	}
	if c.waits && !oldest.IsZero() {
		return time.Time{}, oldest
	}
	return c.turned, oldest
}

// turn marks a turn of the loop.
func (c *consumption) turn(waits bool) {
	c.mu.Lock()
	c.turned, c.waits = time.Now(), waits
	c.mu.Unlock()
}

// fetch asks for as many tasks as there is room for, again and again.
func (c *consumption) fetch(ctx context.Context) error {
	var cons jetstream.Consumer
	c.delivered = time.Now()
	for ctx.Err() == nil {
		c.turn(false)
		if c.link.NC.IsClosed() {
			return fault.ErrClosed
		}
		var err error
		if cons == nil {
			if cons, err = c.attach(ctx); err != nil {
				c.log.Warn("consumer unavailable", zap.Error(err))
				cons = nil
				c.fetched(ctx, err)
				continue
			}
		}
		room := c.room(ctx)
		if room == 0 {
			break
		}
		err = c.fetchSome(ctx, cons, room)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			c.log.Warn("fetch failed", zap.Error(err))
			cons = nil
		}
		c.fetched(ctx, err)
		if err != nil {
			continue
		}
		if c.stalled(ctx) {
			c.rebuilds.Inc()
			cons = nil
		}
	}
	return ctx.Err()
}

// attach finds the durable consumer, or makes it again if it is gone.
func (c *consumption) attach(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, write.Limit)
	defer cancel()
	cons, err := c.link.JS.Consumer(ctx, schema.Tasks, schema.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		c.log.Warn("consumer is missing, creating it again: tasks of the last days are delivered again")
		c.rebuilds.Inc()
		c.last = 0
		return c.link.JS.CreateConsumer(ctx, schema.Tasks, schema.TaskConsumer())
	}
	if err == nil {
		c.last = cons.CachedInfo().Delivered.Stream
	}
	return cons, err
}

// room waits until there is room for a reasonable number of messages and
// returns it; 0 when ctx has ended.
func (c *consumption) room(ctx context.Context) int {
	for {
		c.mu.Lock()
		room := c.capacity - len(c.held)
		c.mu.Unlock()
		if room >= max(1, c.capacity/4) {
			c.turn(false)
			return room
		}
		c.turn(true)
		select {
		case <-ctx.Done():
			return 0
		case <-c.freed:
		}
	}
}

func (c *consumption) fetchSome(ctx context.Context, cons jetstream.Consumer, n int) error {
	ctx, end := c.link.UntilReconnect(ctx)
	defer end()
	limits := cons.CachedInfo().Config
	ctx, cancel := context.WithTimeout(ctx, link.AtMost(fetchFor, limits.MaxRequestExpires))
	defer cancel()
	batch, err := cons.Fetch(link.AtMost(n, limits.MaxRequestBatch), jetstream.FetchContext(ctx))
	if err != nil {
		return err
	}
	for msg := range batch.Messages() {
		c.mu.Lock()
		c.held[msg] = time.Time{}
		c.delivered = time.Now()
		c.mu.Unlock()
		if meta, err := msg.Metadata(); err == nil {
			c.follow(meta)
		}
		c.work <- msg
	}
	c.tellSkipped(context.WithoutCancel(ctx))
	err = batch.Error()
	if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// stalled reports whether no task came for a while although there are some.
func (c *consumption) stalled(ctx context.Context) bool {
	c.mu.Lock()
	since := time.Since(c.delivered)
	c.mu.Unlock()
	if since < stallLimit {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, write.Limit)
	defer cancel()
	pending, _, err := c.Lag(ctx)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return true
	}
	if err != nil || pending == 0 {
		c.delivered = time.Now()
		return false
	}
	c.log.Warn("consumer stalled, rebuilding it", zap.Int("pending", pending), zap.Duration("silent", since))
	c.delivered = time.Now()
	return true
}
