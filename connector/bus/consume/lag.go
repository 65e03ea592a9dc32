package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pullprint/connector/bus/schema"

	"github.com/nats-io/nats.go/jetstream"
)

// Lag says how many tasks were not yet handed to a worker and how many were
// but are not done.
func (t *Tasks) Lag(ctx context.Context) (pending, ackPending int, err error) {
	c, err := t.link.JS.Consumer(ctx, schema.Tasks, schema.Consumer)
	if err != nil {
		return 0, 0, fmt.Errorf("read consumer %s: %w", schema.Consumer, err)
	}
	info := c.CachedInfo()
	return int(info.NumPending), info.NumAckPending, nil //nolint:gosec // counts of stored messages
}

// Undelivered is when the oldest task was stored that was not yet handed to a
// worker; zero when there is none.
func (t *Tasks) Undelivered(ctx context.Context) (time.Time, error) {
	c, err := t.link.JS.Consumer(ctx, schema.Tasks, schema.Consumer)
	if err != nil {
		return time.Time{}, fmt.Errorf("read consumer %s: %w", schema.Consumer, err)
	}
	info := c.CachedInfo()
	if info.NumPending == 0 {
		return time.Time{}, nil
	}
	s, err := t.link.JS.Stream(ctx, schema.Tasks)
	if err != nil {
		return time.Time{}, fmt.Errorf("read stream %s: %w", schema.Tasks, err)
	}
	msg, err := s.GetMsg(ctx, info.Delivered.Stream+1, jetstream.WithGetMsgSubject(schema.TasksSubject+"*"))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, nil // it aged out
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read the oldest task that nobody was given: %w", err)
	}
	return msg.Time, nil
}
