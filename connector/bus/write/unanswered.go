package write

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pullprint/connector/bus/fault"
	"pullprint/connector/bus/schema"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// writeState is what a writer knows of a stream that may take no writes. It is guarded
// by the writer's lock.
type writeState struct {
	frozen error     // every write is sure to fail
	last   *nats.Msg // a write that got no answer, and none was stored since
	since  time.Time // when it was tried
}

// resendWindow is how long an unanswered write may be sent again: until the server has
// nearly forgotten its message id.
const resendWindow = schema.DuplicateWindow / 2

// Freeze makes every write fail at once with err, or with nil lets them be tried.
func (w *Writer) Freeze(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.frozen = err
}

// noteFailure takes note of a write that failed. mu is held.
func (w *Writer) noteFailure(msg *nats.Msg, err error) {
	if err == nil || errors.Is(err, context.Canceled) || !fault.Temporary(err) {
		return
	}
	w.state.last, w.state.since = msg, time.Now()
	select {
	case w.unanswered <- struct{}{}:
	default:
	}
}

// RetryUnanswered tries a write if the last one got no answer: the next regular
// write to this stream may be hours away. Readers see nothing of it. A stream gets the
// unanswered message again, which the server stores once by its id; in a bucket a key
// that never existed is marked as deleted, for a minute.
func (w *Writer) RetryUnanswered(ctx context.Context, instance string) error {
	w.mu.Lock()
	last, since := w.state.last, w.state.since
	w.mu.Unlock()
	if last == nil {
		return nil
	}
	bucket, isBucket := strings.CutPrefix(w.stream, "KV_")
	msg := &nats.Msg{Subject: last.Subject, Data: last.Data, Header: nats.Header{}}
	switch id := last.Header.Get(jetstream.MsgIDHeader); {
	case isBucket:
		msg.Subject, msg.Data = "$KV."+bucket+".canary."+schema.Token(instance), nil
		msg.Header.Set(schema.OperationHeader, schema.Purge)
		msg.Header.Set(jetstream.MsgTTLHeader, "60")
	case id == "" || time.Since(since) > resendWindow:
		w.answered(last)
		return nil
	default:
		msg.Header.Set(jetstream.MsgIDHeader, id)
	}
	_, err := w.js.PublishMsg(ctx, msg)
	var api *jetstream.APIError
	if err != nil && !errors.As(err, &api) {
		return fmt.Errorf("no write has been answered since %s: %w", since.UTC().Format(time.RFC3339), err)
	}
	w.answered(last)
	return nil
}

// answered notes that a message is not unanswered any more.
func (w *Writer) answered(msg *nats.Msg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state.last == msg {
		w.state.last = nil
	}
}

// Forget drops what is known of a stream: it was made again.
func (w *Writer) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids, w.revisions = newRecent[struct{}](rememberIDs), newRecent[uint64](rememberRevisions)
}
