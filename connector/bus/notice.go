package bus

import (
	"context"
	"fmt"

	"pullprint/connector/bus/link"
	"pullprint/connector/bus/write"
	"pullprint/connector/store"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// subjectNotices is where people's notices go, for bridges to mail or chat.
const subjectNotices = "pullprint.notices"

// statusNoResponders is the status with which a server answers a message that has a
// subject for replies and that nobody has subscribed to.
const statusNoResponders = "503"

// Notify tells whoever listens on pullprint.notices, once: nothing is stored
// here. The message carries msgID as its Nats-Msg-Id, so that a stream that
// somebody lays over the subject drops a repeat. An error means that the server
// may not have it, ErrUnheard that it has, and that there was nobody to pass it on to.
func (b *Bus) Notify(ctx context.Context, msgID string, body []byte) error {
	ctx, cancel := link.WithLimit(ctx, write.Limit)
	defer cancel()
	inbox := b.link.NC.NewRespInbox()
	answers := make(chan *nats.Msg, 16) // a bridge or two, or a stream; more are dropped
	sub, err := b.link.NC.ChanSubscribe(inbox, answers)
	if err != nil {
		return fmt.Errorf("publish notice: %w", err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // ends with the connection at the latest
	msg := &nats.Msg{Subject: subjectNotices, Reply: inbox, Data: body, Header: nats.Header{}}
	msg.Header.Set(jetstream.MsgIDHeader, msgID)
	if err := b.link.NC.PublishMsg(msg); err != nil {
		return fmt.Errorf("publish notice: %w", err)
	}
	// The server says that there is nobody before it answers the ping of the flush.
	if err := b.link.NC.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("publish notice: %w", err)
	}
	select {
	case m := <-answers:
		if len(m.Data) == 0 && m.Header.Get("Status") == statusNoResponders {
			return store.ErrUnheard
		}
	default:
	}
	return nil
}
