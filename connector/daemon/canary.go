package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/bus"
	"pullprint/trigger/wait"
)

const (
	// canaryEvery is how often the store is tried, canaryWithin how long that may take:
	// together less than the 10 s within which readiness has to tell.
	canaryEvery  = 5 * time.Second
	canaryWithin = 2 * time.Second
	// canaryAgain is how soon it is tried again after a failure.
	canaryAgain = time.Second
	// canaryGrace is for how long the store may give no answer, on a disk that takes
	// writes, before the daemon ends.
	canaryGrace = 90 * time.Second
	canaryLimit = time.Minute // see daemon.loops
)

// canary knows whether the store can be worked with.
type canary struct {
	write func(ctx context.Context) error
	fatal bool // end the daemon when only a restart helps
	log   *zap.Logger
	// disk says whether the disk of the store takes writes; wake has something in it
	// when the store is to be tried at once. Both may be nil.
	disk func() error
	wake <-chan struct{}

	mu     sync.Mutex // guards what follows
	err    error      // of the newest write
	turned time.Time  // when the loop last turned
}

func newCanary(write func(context.Context) error, fatal bool, log *zap.Logger) *canary {
	return &canary{write: write, fatal: fatal, log: log.Named("canary"), err: errors.New("no write has been tried yet")}
}

// newStoreCanary tries a store, and its disk when it is embedded.
func newStoreCanary(b *bus.Bus, fatal bool, log *zap.Logger) *canary {
	c := newCanary(b.Canary, fatal, log)
	c.disk, c.wake = b.ProbeDisk, b.Unanswered()
	return c
}

// Ready is the result of the last try.
func (c *canary) Ready() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Turned is when the loop of Run last turned; zero before it runs.
func (c *canary) Turned() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.turned
}

// Run tries the store until ctx ends, or until only a restart helps: the disk of an
// embedded store takes writes, and the server does not. While the disk is full a
// restart would help nobody.
func (c *canary) Run(ctx context.Context) error {
	var since time.Time
	said := ""
	for {
		full, err := c.try(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && !since.IsZero():
			c.log.Info("store accepts writes again")
			since, said = time.Time{}, ""
		case err != nil && since.IsZero():
			since = time.Now()
		}
		if err != nil && err.Error() != said {
			c.log.Error("store refuses writes", zap.Error(err))
			said = err.Error()
		}
		if err != nil && c.fatal && full == nil && (errors.Is(err, bus.ErrFrozen) || time.Since(since) > canaryGrace) {
			return fmt.Errorf("the store takes no writes although its disk does again; only a restart helps, nothing that "+
				"was acknowledged is lost: %w", err)
		}
		if err := c.pause(ctx, err != nil); err != nil {
			return err
		}
	}
}

// pause waits for the next try.
func (c *canary) pause(ctx context.Context, failing bool) error {
	if err := wait.Sleep(ctx, canaryAgain); err != nil || failing {
		return err
	}
	return wait.For(ctx, canaryEvery-canaryAgain, c.wake)
}

// try returns what is wrong with the store, and then what is wrong with its disk.
func (c *canary) try(ctx context.Context) (full, err error) {
	ctx, cancel := context.WithTimeout(ctx, canaryWithin)
	defer cancel()
	c.mu.Lock()
	c.turned = time.Now()
	c.mu.Unlock()
	if err = c.write(ctx); err != nil {
		err = fmt.Errorf("a durable write failed: %w", err)
		if c.disk != nil {
			full = c.disk()
		}
		if full != nil {
			err = fmt.Errorf("%w; make room on the disk: %w", err, full)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	return full, err
}
