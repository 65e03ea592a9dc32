package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// subjectNotices is where people's notices go, for bridges to mail or chat.
const subjectNotices = "pullprint.notices"

// Notify tells whoever listens on pullprint.notices, once: nothing is stored
// here. The message carries msgID as its Nats-Msg-Id, so that a stream that
// somebody lays over the subject drops a repeat. An error means that the server
// may not have it.
func (b *Bus) Notify(ctx context.Context, msgID string, body []byte) error {
	ctx, cancel := withLimit(ctx, writeLimit)
	defer cancel()
	msg := &nats.Msg{Subject: subjectNotices, Data: body, Header: nats.Header{}}
	msg.Header.Set(jetstream.MsgIDHeader, msgID)
	if err := b.nc.PublishMsg(msg); err != nil {
		return fmt.Errorf("publish notice: %w", err)
	}
	if err := b.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("publish notice: %w", err)
	}
	return nil
}
