package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// doubt is what a writer knows of a stream that may take no writes. It is guarded by
// the writer's lock.
type doubt struct {
	frozen error     // every write is sure to fail
	last   *nats.Msg // a write that got no answer, and none was stored since
	since  time.Time // when it was tried
}

// forgetDoubt is how long an unanswered write may be sent again: until the server has
// nearly forgotten its message id.
const forgetDoubt = duplicateWindow / 2

// freeze makes every write fail at once with err, or with nil lets them be tried.
func (w *writer) freeze(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.doubt.frozen = err
}

// doubts takes note of a write that failed. mu is held.
func (w *writer) doubts(msg *nats.Msg, err error) {
	if err == nil || errors.Is(err, context.Canceled) || !passing(err) {
		return
	}
	w.doubt.last, w.doubt.since = msg, time.Now()
	select {
	case w.unanswered <- struct{}{}:
	default:
	}
}

// trial tries a write if the last one got no answer: nobody else may want to write to
// this stream for hours. It leaves nothing behind that a reader sees. To a stream it
// sends the very message again that got no answer, which is stored once by its id; in
// a bucket it marks a key as deleted that never was there, for a minute.
func (w *writer) trial(ctx context.Context, instance string) error {
	w.mu.Lock()
	last, since := w.doubt.last, w.doubt.since
	w.mu.Unlock()
	if last == nil {
		return nil
	}
	bucket, isBucket := strings.CutPrefix(w.stream, "KV_")
	msg := &nats.Msg{Subject: last.Subject, Data: last.Data, Header: nats.Header{}}
	switch id := last.Header.Get(jetstream.MsgIDHeader); {
	case isBucket:
		msg.Subject, msg.Data = "$KV."+bucket+".canary."+token(instance), nil
		msg.Header.Set(headerKVOperation, kvPurge)
		msg.Header.Set(headerTTL, "60")
	case id == "" || time.Since(since) > forgetDoubt:
		w.settled(last)
		return nil
	default:
		msg.Header.Set(jetstream.MsgIDHeader, id)
	}
	_, err := w.js.PublishMsg(ctx, msg)
	var api *jetstream.APIError
	if err != nil && !errors.As(err, &api) {
		return fmt.Errorf("no write has been answered since %s: %w", since.UTC().Format(time.RFC3339), err)
	}
	w.settled(last)
	return nil
}

// settled ends the doubt that a message brought about.
func (w *writer) settled(msg *nats.Msg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.doubt.last == msg {
		w.doubt.last = nil
	}
}

// forget drops what is known of a stream: it was made again.
func (w *writer) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids, w.revisions = newRecent[struct{}](rememberIDs), newRecent[uint64](rememberRevisions)
}
