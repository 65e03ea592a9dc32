// Package link is the connection to NATS that all parts of the bus share. It is made anew by
// itself when it is lost; whoever waits for messages is told by UntilReconnect, and asks again.
package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"pullprint/connector/bus/fault"
	"pullprint/trigger/wait"
)

// Link is a connection. Its methods may be used by many goroutines at once.
type Link struct {
	NC  *nats.Conn
	JS  jetstream.JetStream
	Log *zap.Logger
	// Local says that the server is in this process, and can't be lost without it.
	Local bool
	// Replicated says that streams are on several servers, of which only the leader is sure to
	// have the last write.
	Replicated bool

	removed sync.Map // name of a stream to *atomic.Uint64: see Removals

	mu       sync.Mutex // guards sessions
	sessions map[*context.CancelCauseFunc]struct{}
}

// UntilReconnect is ctx, cancelled as well when the connection was lost and is back, or closed
// for good: what waits for messages has to ask again then. The cause is fault.ErrCutOff or
// fault.ErrClosed.
func (l *Link) UntilReconnect(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.NC.IsClosed() {
		cancel(fault.ErrClosed)
	}
	if l.sessions == nil {
		l.sessions = make(map[*context.CancelCauseFunc]struct{})
	}
	l.sessions[&cancel] = struct{}{}
	return ctx, func() {
		cancel(nil)
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.sessions, &cancel)
	}
}

// EndSessions ends every context of UntilReconnect.
func (l *Link) EndSessions(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for cancel := range l.sessions {
		(*cancel)(cause)
	}
}

// Pause waits before another try: for d, until the connection is back, or until ctx ends.
func (l *Link) Pause(ctx context.Context, d time.Duration) {
	ctx, end := l.UntilReconnect(ctx)
	defer end()
	_ = wait.Sleep(ctx, d) // callers look at their own ctx
}

// Ask sends a request to the API of JetStream. The error may be a *jetstream.APIError; else
// message, which may be nil, gets the message in the answer.
func (l *Link) Ask(ctx context.Context, subject string, request, message any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	msg, err := l.NC.RequestWithContext(ctx, subject, body)
	if err != nil {
		return err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message json.RawMessage     `json:"message"`
	}
	err = json.Unmarshal(msg.Data, &answer)
	switch {
	case err == nil && answer.Error != nil:
		return answer.Error
	case err == nil && message != nil:
		err = json.Unmarshal(answer.Message, message)
	}
	if err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}

// Code is the code of an error of the API of JetStream; 0 of any other.
func Code(err error) jetstream.ErrorCode {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.ErrorCode
	}
	return 0
}

// NothingAfter asks the leader of a stream whether there is no message after a sequence.
func (l *Link) NothingAfter(ctx context.Context, stream, filter string, sequence uint64) (bool, error) {
	err := l.Ask(ctx, "$JS.API.STREAM.MSG.GET."+stream, map[string]any{"seq": sequence + 1, "next_by_subj": filter}, nil)
	switch {
	case err == nil:
		return false, nil
	case Code(err) == jetstream.JSErrCodeMessageNotFound:
		return true, nil
	}
	return false, fmt.Errorf("read the end of %s: %w", stream, err)
}

// Removals counts how often messages of a stream were removed by this process: once when one
// is about to be, and once when all are.
func (l *Link) Removals(stream string) *atomic.Uint64 {
	n, _ := l.removed.LoadOrStore(stream, new(atomic.Uint64))
	return n.(*atomic.Uint64) //nolint:errcheck // nothing else is stored there
}

// WithLimit gives ctx a deadline if it has none.
func WithLimit(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

// AtMost is what is wanted of a server, or its limit if that is lower; 0 is no limit.
func AtMost[T int | time.Duration](want, limit T) T {
	if limit > 0 {
		return min(want, limit)
	}
	return want
}
