package bus

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"pullprint/connector/bus/backup"
	"pullprint/connector/bus/fault"
	"pullprint/connector/bus/schema"
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

// message is what a reader hands over. body is nil when absent.
type message struct {
	subject  string
	body     []byte
	absent   bool // the mark of a deleted key
	sequence uint64
	stored   time.Time
	raw      jetstream.Msg
}

// record is the message as a backup has it.
func (m *message) record() backup.Record {
	return backup.Record{
		Sequence: m.sequence, Time: m.stored, Header: m.raw.Headers(), Subject: m.subject, Body: m.raw.Data(),
	}
}

// reader reads a stream in order, through a consumer of its own that is made
// anew after the last message read whenever anything is wrong with it.
type reader struct {
	bus            *Bus
	stream         string
	filter         string
	since          time.Time // start here; zero: at the beginning
	lastPerSubject bool      // start with the last message of each subject
	follow         bool      // go on when all was read
	maxGap         time.Duration

	last      uint64    // sequence of the last message handed over
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
	// errRolledBack: an external server came back with less than was read of a stream,
	// which was made again or taken from an older copy.
	errRolledBack = errors.New("the stream has lost what was read of it")
)

// Decisions calls fn with the decisions stored since a time, oldest first, then
// returns; with follow it goes on with new ones until ctx ends, and returns its
// error. An error of fn ends it and is returned.
func (b *Bus) Decisions(
	ctx context.Context, since time.Time, follow bool, fn func(stored time.Time, body []byte) error,
) error {
	return b.records(ctx, schema.Decisions, since, follow, fn)
}

// Dead is Decisions for the dead letters.
func (b *Bus) Dead(
	ctx context.Context, since time.Time, follow bool, fn func(stored time.Time, body []byte) error,
) error {
	return b.records(ctx, schema.Dead, since, follow, fn)
}

// Actions is Decisions for the audit of the API and the pages.
func (b *Bus) Actions(
	ctx context.Context, since time.Time, follow bool, fn func(stored time.Time, body []byte) error,
) error {
	return b.records(ctx, schema.Audit, since, follow, fn)
}

// LedgerSince calls fn with the entries of an account since a time, oldest first. The same entry may come twice.
func (b *Bus) LedgerSince(ctx context.Context, account string, since time.Time, fn func(body []byte) error) error {
	if !validKey(account) {
		return fmt.Errorf("read %s: the account has an empty or forbidden token", schema.Ledger)
	}
	r := reader{bus: b, stream: schema.Ledger, filter: schema.LedgerSubject + account, since: since}
	return r.read(ctx, func(m message) error { return fn(m.body) }, nil)
}

// LedgerFrom calls fn with the entries of an account, or of all when it is empty,
// from a sequence on, oldest first. The same entry may come twice. When the history ends
// before that sequence, it is another: then fn is called with all of it.
func (b *Bus) LedgerFrom(
	ctx context.Context, account string, sequence uint64, fn func(sequence uint64, stored time.Time, body []byte) error,
) error {
	if account != "" && !validKey(account) {
		return fmt.Errorf("read %s: the account has an empty or forbidden token", schema.Ledger)
	}
	r := reader{bus: b, stream: schema.Ledger, last: max(1, sequence) - 1}
	if account != "" {
		r.filter = schema.LedgerSubject + account
	}
	return r.read(ctx, func(m message) error { return fn(m.sequence, m.stored, m.body) }, nil)
}

func (b *Bus) records(
	ctx context.Context, stream string, since time.Time, follow bool, fn func(time.Time, []byte) error,
) error {
	r := reader{bus: b, stream: stream, since: since, follow: follow}
	return r.read(ctx, func(m message) error { return fn(m.stored, m.body) }, nil)
}

// userError is an error of the function that is handed the messages.
type userError struct{ error }

// read calls fn with each message and caughtUp (may be nil) once when it has
// handed over all that was there at the start.
func (r *reader) read(ctx context.Context, fn func(message) error, caughtUp func()) error {
	r.heard, r.moved = time.Now(), time.Now()
	began, removed := *r, r.bus.removals(r.stream)
	r.removals = removed.Load()
	retry := readRetry
	for {
		before := r.last
		done, err := r.session(ctx, fn, caughtUp)
		if r.last > before {
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
			if damaged := r.bus.unreadable(ctx, r.stream, r.filter, r.last); damaged != nil {
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
			return began.read(ctx, func(message) error { return nil }, nil) // so that no damage is excused with it
		case done:
			return nil
		case r.bus.nc.IsClosed():
			return fault.ErrClosed
		case errors.Is(err, errRolledBack) && !r.follow:
			r.last = 0 // what is left is read from the beginning
		case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, errRolledBack):
			return fmt.Errorf("read %s: %w", r.stream, err)
		case r.maxGap > 0 && time.Since(r.heard) > r.maxGap:
			return fmt.Errorf("read %s: cut off for more than %v: %w", r.stream, r.maxGap, err)
		case !r.follow && time.Since(r.moved) > readGiveUp:
			return fmt.Errorf("read %s: %w: nothing came for %v: %w", r.stream, store.ErrUnavailable, readGiveUp, err)
		}
		if r.last > before {
			retry = readRetry
		}
		r.bus.log.Debug("reader rebuilt", zap.String("stream", r.stream), zap.Error(err))
		r.bus.pause(ctx, retry)
		retry = min(2*retry, readRetryMax)
	}
}

// session reads through one consumer until it fails or all is read.
func (r *reader) session(ctx context.Context, fn func(message) error, caughtUp func()) (done bool, err error) {
	ctx, end := r.bus.untilReconnect(ctx)
	defer end()
	start, cancel := context.WithTimeout(ctx, write.Limit)
	cons, err := r.bus.js.CreateConsumer(start, r.stream, r.consumer())
	cancel()
	if err != nil {
		return false, fmt.Errorf("create consumer: %w", err)
	}
	defer r.drop(cons)
	if r.follow || r.last > 0 {
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
		done, err := r.fetch(ctx, cons, func(m message, meta *jetstream.MsgMetadata) (bool, error) {
			if delivered++; meta.Sequence.Consumer != delivered {
				return false, errGap
			}
			if err := fn(m); err != nil {
				return false, userError{err}
			}
			r.last = meta.Sequence.Stream
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

// checkStream says with errRolledBack that the stream is not the one that was read, or ends
// before the last message that was read. The server would keep the consumer waiting until
// the stream comes to that again.
func (r *reader) checkStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, write.Limit)
	defer cancel()
	s, err := r.bus.js.Stream(ctx, r.stream)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", r.stream, err)
	}
	is, was := s.CachedInfo(), r.created
	r.created = is.Created
	switch {
	case r.last == 0:
		return nil
	case is.State.LastSeq < r.last:
		return fmt.Errorf("%w: it ends at %d, %d was read", errRolledBack, is.State.LastSeq, r.last)
	case !was.IsZero() && !is.Created.Equal(was):
		return fmt.Errorf("%w: it was made again", errRolledBack)
	}
	return nil
}

// fetch asks for messages once, in numbers that the server allows, and calls fn with
// each until that is done. When nothing comes in time that is no error.
func (r *reader) fetch(
	ctx context.Context, cons jetstream.Consumer, fn func(message, *jetstream.MsgMetadata) (done bool, err error),
) (bool, error) {
	r.heard = time.Now()
	limits := cons.CachedInfo().Config
	wait := readWait
	switch {
	case !r.completed:
		wait = readStall
	case r.bus.srv != nil:
		wait = embeddedWait
	}
	wait = atMost(wait, limits.MaxRequestExpires)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	options := []jetstream.FetchOpt{jetstream.FetchContext(ctx)}
	if wait > readWait {
		options = append(options, jetstream.FetchHeartbeat(wait/3)) // 5 s otherwise
	}
	batch, err := cons.Fetch(atMost(readBatch, limits.MaxRequestBatch), options...)
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

// removals counts how often messages of a stream were removed by this process: once when one
// is about to be, and once when all are.
func (b *Bus) removals(stream string) *atomic.Uint64 {
	n, _ := b.removed.LoadOrStore(stream, new(atomic.Uint64))
	return n.(*atomic.Uint64) //nolint:errcheck // nothing else is stored there
}

// unreadable says whether a stream has a message after a sequence that its leader can't
// read; nil when it can, or does not answer.
func (b *Bus) unreadable(ctx context.Context, stream, filter string, after uint64) error {
	ctx, cancel := context.WithTimeout(ctx, write.Limit)
	defer cancel()
	if filter == "" {
		filter = ">"
	}
	none, err := b.nothingAfter(ctx, stream, filter, after)
	if err != nil || !none {
		return nil //nolint:nilerr // then it is not known to be damaged
	}
	return fmt.Errorf("%w: %s: a message after %d can't be read; `pullprint restore FILE` from a backup",
		store.ErrDamaged, stream, after)
}

// complete notes that all was read once; true says that this is the end.
func (r *reader) complete(caughtUp func()) bool {
	if !r.completed && caughtUp != nil {
		caughtUp()
	}
	r.completed = true
	return !r.follow
}

func (r *reader) consumer() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		AckPolicy:         jetstream.AckNonePolicy,
		DeliverPolicy:     jetstream.DeliverAllPolicy,
		FilterSubject:     r.filter,
		InactiveThreshold: readerIdleGone,
		MemoryStorage:     true,
		Replicas:          1,
	}
	switch {
	case r.last > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.last+1
	case r.lastPerSubject:
		cfg.DeliverPolicy = jetstream.DeliverLastPerSubjectPolicy
	case !r.since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.since
	}
	return cfg
}

// drop deletes the consumer; the server does the same some time after it heard
// the last of us.
func (r *reader) drop(cons jetstream.Consumer) {
	if !r.bus.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.bus.js.DeleteConsumer(ctx, r.stream, cons.CachedInfo().Name)
}

func toMessage(msg jetstream.Msg, meta *jetstream.MsgMetadata) message {
	e := newEntry(msg.Subject(), msg.Headers(), msg.Data(), meta.Sequence.Stream)
	return message{
		subject: e.subject, body: e.value, absent: e.value == nil, sequence: e.revision, stored: meta.Timestamp, raw: msg,
	}
}
