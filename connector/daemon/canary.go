package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// How often a durable write is tried, how long it may take, and for how long
// it may fail before the daemon ends: a store whose disk was full once stays
// broken until it is opened again, so the supervisor's restart is the cure.
const (
	canaryEvery  = 10 * time.Second
	canaryWithin = 2 * time.Second
	canaryGrace  = 90 * time.Second
	canaryLimit  = time.Minute // a turn that takes longer is stuck
)

// canary knows whether the store still takes durable writes.
type canary struct {
	write func(ctx context.Context) error
	fatal bool // end the daemon when the store stays broken
	log   *zap.Logger

	mu     sync.Mutex
	err    error
	turned time.Time
}

func newCanary(write func(context.Context) error, fatal bool, log *zap.Logger) *canary {
	return &canary{write: write, fatal: fatal, log: log.Named("canary"), err: errors.New("no write has been tried yet")}
}

// Ready is the result of the last write.
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

// Run writes until ctx ends, or until an embedded store has failed for too long.
func (c *canary) Run(ctx context.Context) error {
	tick := time.NewTicker(canaryEvery)
	defer tick.Stop()
	var since time.Time
	for {
		err := c.try(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && !since.IsZero():
			c.log.Info("store takes writes again")
			since = time.Time{}
		case err != nil && since.IsZero():
			c.log.Error("store takes no writes", zap.Error(err))
			since = time.Now()
		case err != nil && c.fatal && time.Since(since) > canaryGrace:
			return fmt.Errorf("the store has taken no write for %s (is the disk full?): %w", canaryGrace, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (c *canary) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, canaryWithin)
	defer cancel()
	c.mu.Lock()
	c.turned = time.Now()
	c.mu.Unlock()
	err := c.write(ctx)
	if err != nil {
		err = fmt.Errorf("a durable write failed: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	return err
}
