package consume

import (
	"context"
	"fmt"
	"strings"
	"time"

	"pullprint/connector/store"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// giveBack returns the tasks that no worker has begun, so that other replicas get them at once.
func (c *consumption) giveBack() {
	for {
		select {
		case msg := <-c.work:
			c.answer(msg, msg.Nak)
		default:
			return
		}
	}
}

func (c *consumption) handle(
	ctx context.Context, msg jetstream.Msg, h func(context.Context, store.Delivery) store.Disposition,
) {
	meta, err := msg.Metadata()
	if err != nil {
		c.answer(msg, func() error { return fmt.Errorf("read metadata: %w", err) })
		return
	}
	if meta.NumDelivered > 1 {
		c.redelivered.Inc()
	}
	c.mu.Lock()
	c.held[msg] = time.Now()
	c.mu.Unlock()
	subject := msg.Subject()
	disposition := h(ctx, store.Delivery{
		Body:       msg.Data(),
		Subject:    subject,
		Definition: subject[strings.LastIndexByte(subject, '.')+1:],
		Delivered:  int(meta.NumDelivered), //nolint:gosec // a small count
		Stored:     meta.Timestamp,
		Sequence:   meta.Sequence.Stream,
	})
	switch {
	case !disposition.Redeliver:
		c.answer(msg, msg.Ack)
	case disposition.After > 0:
		c.answer(msg, func() error { return msg.NakWithDelay(disposition.After) })
	default:
		c.answer(msg, msg.Nak)
	}
}

// answer sends the answer to a message and forgets it. Both happen under the
// lock, so that no beat can follow the answer: it would put the message's time
// back to the ack wait. An answer that didn't get out is no loss: the message
// comes again.
func (c *consumption) answer(msg jetstream.Msg, send func() error) {
	c.mu.Lock()
	delete(c.held, msg)
	err := send()
	c.mu.Unlock()
	if err != nil {
		c.log.Warn("task not acknowledged", zap.Error(err))
	}
	select {
	case c.freed <- struct{}{}:
	default:
	}
}

// beat extends the time of the tasks in hand until idle is closed.
func (c *consumption) beat(idle <-chan struct{}) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-idle:
			return
		case <-tick.C:
		}
		c.mu.Lock()
		for msg := range c.held {
			_ = msg.InProgress() // lost: the next one is in time
		}
		c.mu.Unlock()
	}
}
