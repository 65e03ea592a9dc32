package stored

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pullprint/connector/bus/fault"
	"pullprint/connector/bus/link"
	"pullprint/connector/bus/write"
	"pullprint/connector/store"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	// readBatch is how many messages are asked for at once: about a megabyte of records.
	readBatch    = 2000
	readRetry    = 250 * time.Millisecond
	readRetryMax = 5 * time.Second
	// readerIdleGone is after what time the server deletes a consumer that nobody asks: more
	// than any wait of a reader.
	readerIdleGone = 2 * time.Minute
	// readWait is how long one request for messages may stay open, readStall how long
	// none may come although there are some, and readGiveUp for how long a reading that
	// is to end may make no progress: a cluster needs less to find another leader.
	readWait   = 30 * time.Second
	readStall  = 5 * time.Second
	readGiveUp = time.Minute
	// embeddedWait is readWait where the server is in this process and can't be lost
	// without it. It is shorter than readerIdleGone.
	embeddedWait = 90 * time.Second
)

// Message is what a Reader hands over.
type Message struct {
	Subject string
	// Body is nil when Absent, the mark of a deleted key, is set.
	Body     []byte
	Absent   bool
	Sequence uint64
	Stored   time.Time
	// Raw is the message as the server has it.
	Raw jetstream.Msg
}

// Reader reads a stream in order, through a consumer of its own that is made
// anew after the last message read whenever anything is wrong with it.
type Reader struct {
	Link   *link.Link
	Stream string
	Filter string
	// Since is where to start; zero is at the beginning.
	Since time.Time
	// LastPerSubject starts with the last message of each subject.
	LastPerSubject bool
	// Follow goes on when all was read.
	Follow bool
	// MaxGap is for how long it may be cut off, when it follows; 0 is for ever.
	MaxGap time.Duration
	// Last is the sequence of the last message that was handed over; it starts after that.
	Last uint64

	created   time.Time // when the stream was made; zero while that is not known
	heard     time.Time
	moved     time.Time // when there was progress
	removals  uint64    // those of the stream when the session began
	excused   bool      // less came than there was, and messages were removed meanwhile
	completed bool
}

var (
	errGap   = errors.New("message missing in between")
	errStall = errors.New("no message comes although there are some")
	// ErrRolledBack: an external server came back with less than was read of a stream,
	// which was made again or taken from an older copy.
	ErrRolledBack = errors.New("the stream has lost what was read of it")
)

// userError is an error of the function that is handed the messages.
type userError struct{ error }

// Read calls fn with each message and caughtUp (may be nil) once when it has
// handed over all that was there at the start.
func (r *Reader) Read(ctx context.Context, fn func(Message) error, caughtUp func()) error {
	r.heard, r.moved, r.completed = time.Now(), time.Now(), false
	began, removed := *r, r.Link.Removals(r.Stream)
	r.removals = removed.Load()
	retry := readRetry
	for {
		before := r.Last
		done, err := r.session(ctx, fn, caughtUp)
		if r.Last > before {
			r.moved = time.Now()
		}
		// What was removed meanwhile, as by an erasure, is waited for in vain as well as what can't
		// be read: a consumer that is made anew knows what is left.
		removals := removed.Load()
		switch {
		case !errors.Is(err, errStall):
		case removals != r.removals:
			r.excused = true
		default:
			if damaged := unreadable(ctx, r.Link, r.Stream, r.Filter, r.Last); damaged != nil {
				return damaged
			}
		}
		r.removals = removals
		var user userError
		switch {
		case errors.As(err, &user):
			return user.error
		case ctx.Err() != nil:
			return ctx.Err()
		case done && r.excused:
			return began.Read(ctx, func(Message) error { return nil }, nil) // so that no damage is excused with it
		case done:
			return nil
		case r.Link.NC.IsClosed():
			return fault.ErrClosed
		case errors.Is(err, ErrRolledBack) && !r.Follow:
			r.Last = 0 // what is left is read from the beginning
		case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, ErrRolledBack):
			return fmt.Errorf("read %s: %w", r.Stream, err)
		case r.MaxGap > 0 && time.Since(r.heard) > r.MaxGap:
			return fmt.Errorf("read %s: cut off for more than %v: %w", r.Stream, r.MaxGap, err)
		case !r.Follow && time.Since(r.moved) > readGiveUp:
			return fmt.Errorf("read %s: %w: nothing came for %v: %w", r.Stream, store.ErrUnavailable, readGiveUp, err)
		}
		if r.Last > before {
			retry = readRetry
		}
		r.Link.Log.Debug("reader rebuilt", zap.String("stream", r.Stream), zap.Error(err))
		r.Link.Pause(ctx, retry)
		retry = min(2*retry, readRetryMax)
	}
}

// session reads through one consumer until it fails or all is read.
func (r *Reader) session(ctx context.Context, fn func(Message) error, caughtUp func()) (done bool, err error) {
	ctx, end := r.Link.UntilReconnect(ctx)
	defer end()
	start, cancel := context.WithTimeout(ctx, write.Limit)
	cons, err := r.Link.JS.CreateConsumer(start, r.Stream, r.consumer())
	cancel()
	if err != nil {
		return false, fmt.Errorf("create consumer: %w", err)
	}
	defer r.drop(cons)
	if r.Follow || r.Last > 0 {
		if err := r.checkStream(ctx); err != nil {
			return false, err
		}
	}
	pending := cons.CachedInfo().NumPending
	if pending == 0 && r.complete(caughtUp) {
		return true, nil
	}
	var delivered uint64
	for {
		before := delivered
		done, err := r.fetch(ctx, cons, func(m Message, meta *jetstream.MsgMetadata) (bool, error) {
			if delivered++; meta.Sequence.Consumer != delivered {
				return false, errGap
			}
			if err := fn(m); err != nil {
				return false, userError{err}
			}
			r.Last = meta.Sequence.Stream
			return (meta.NumPending == 0 || delivered >= pending) && r.complete(caughtUp), nil
		})
		switch {
		case done || err != nil:
			return done, err
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		case delivered == before && !r.completed:
			return false, errStall
		}
	}
}

// checkStream says with ErrRolledBack that the stream is not the one that was read, or ends
// before the last message that was read. The server would keep the consumer waiting until
// the stream comes to that again.
func (r *Reader) checkStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, write.Limit)
	defer cancel()
	s, err := r.Link.JS.Stream(ctx, r.Stream)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", r.Stream, err)
	}
	is, was := s.CachedInfo(), r.created
	r.created = is.Created
	switch {
	case r.Last == 0:
		return nil
	case is.State.LastSeq < r.Last:
		return fmt.Errorf("%w: it ends at %d, %d was read", ErrRolledBack, is.State.LastSeq, r.Last)
	case !was.IsZero() && !is.Created.Equal(was):
		return fmt.Errorf("%w: it was made again", ErrRolledBack)
	}
	return nil
}

// fetch asks for messages once, in numbers that the server allows, and calls fn with
// each until that is done. When nothing comes in time that is no error.
func (r *Reader) fetch(
	ctx context.Context, cons jetstream.Consumer, fn func(Message, *jetstream.MsgMetadata) (done bool, err error),
) (bool, error) {
	r.heard = time.Now()
	limits := cons.CachedInfo().Config
	wait := readWait
	switch {
	case !r.completed:
		wait = readStall
	case r.Link.Local:
		wait = embeddedWait
	}
	wait = link.AtMost(wait, limits.MaxRequestExpires)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	options := []jetstream.FetchOpt{jetstream.FetchContext(ctx)}
	if wait > readWait {
		options = append(options, jetstream.FetchHeartbeat(wait/3)) // 5 s otherwise
	}
	batch, err := cons.Fetch(link.AtMost(readBatch, limits.MaxRequestBatch), options...)
	if err != nil {
		return false, err
	}
	for msg := range batch.Messages() {
		meta, err := msg.Metadata()
		if err != nil {
			return false, err
		}
		if done, err := fn(toMessage(msg, meta), meta); done || err != nil {
			return done, err
		}
	}
	if err := batch.Error(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return false, err
	}
	return false, nil
}

// unreadable says whether a stream has a message after a sequence that its leader can't
// read; nil when it can, or does not answer.
func unreadable(ctx context.Context, l *link.Link, stream, filter string, after uint64) error {
	ctx, cancel := context.WithTimeout(ctx, write.Limit)
	defer cancel()
	if filter == "" {
		filter = ">"
	}
	none, err := l.NothingAfter(ctx, stream, filter, after)
	if err != nil || !none {
		return nil //nolint:nilerr // then it is not known to be damaged
	}
	return fmt.Errorf("%w: %s: a message after %d can't be read; `pullprint restore FILE` from a backup",
		store.ErrDamaged, stream, after)
}

// complete notes that all was read once; true says that this is the end.
func (r *Reader) complete(caughtUp func()) bool {
	if !r.completed && caughtUp != nil {
		caughtUp()
	}
	r.completed = true
	return !r.Follow
}

func (r *Reader) consumer() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		AckPolicy:         jetstream.AckNonePolicy,
		DeliverPolicy:     jetstream.DeliverAllPolicy,
		FilterSubject:     r.Filter,
		InactiveThreshold: readerIdleGone,
		MemoryStorage:     true,
		Replicas:          1,
	}
	switch {
	case r.Last > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.Last+1
	case r.LastPerSubject:
		cfg.DeliverPolicy = jetstream.DeliverLastPerSubjectPolicy
	case !r.Since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.Since
	}
	return cfg
}

// drop deletes the consumer; the server does the same some time after it heard
// the last of us.
func (r *Reader) drop(cons jetstream.Consumer) {
	if !r.Link.NC.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.Link.JS.DeleteConsumer(ctx, r.Stream, cons.CachedInfo().Name)
}

func toMessage(msg jetstream.Msg, meta *jetstream.MsgMetadata) Message {
	e := newEntry(msg.Subject(), msg.Headers(), msg.Data(), meta.Sequence.Stream)
	return Message{
		Subject: e.subject, Body: e.value, Absent: e.value == nil, Sequence: e.revision, Stored: meta.Timestamp, Raw: msg,
	}
}
