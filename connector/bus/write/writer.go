// Package write stores messages in a stream: alone while few are on their way, as atomic
// batches when they queue, so that many share one sync to disk.
package write

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"pullprint/connector/bus/fault"
	"pullprint/connector/store"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// Limit bounds every write, whatever deadline its context has.
	Limit = 5 * time.Second
	// maxSingles is how many writes may be on their way one by one. They are
	// synced to disk one after the other, so more of them only wait longer.
	maxSingles = 8
	// minBatch is how many must be waiting to be worth a batch: staging one
	// costs as much as syncing about that many single writes.
	minBatch = 16
	maxBatch = 256
	// gatherFor is how long the next batch waits for the callers of the last one
	// to come back: little beside the 3 to 5 ms that a batch takes.
	gatherFor = 300 * time.Microsecond
	// maxBatchBytes keeps a batch from holding up the connection.
	maxBatchBytes = 4 << 20

	rememberIDs       = 5 * time.Minute
	rememberRevisions = 5 * time.Second
)

// Result is what the server answered to a write.
type Result struct {
	Sequence  uint64
	Duplicate bool // a message with this id is there already
	Conflict  bool // another revision is there by now: surely not stored
}

// Writer puts messages into one stream. A write goes out alone and at once
// while few are on their way; when they begin to queue, all that wait go as one
// atomic batch, which costs one sync to disk instead of one each.
//
// The server takes all of a batch or nothing: one conflict or known message id
// refuses it. Those are then found and answered (see sift), and the others go as a
// batch again; what is refused twice is written one by one. What is sure to be refused
// is recognised before: ids stored lately, and revisions that we have ourselves replaced.
type Writer struct {
	js      jetstream.JetStream
	stream  string
	metrics *Metrics
	acked   func(stream, subject string, sequence uint64)
	// gate is locked while the store is to stand still.
	gate gate

	wake   chan struct{}
	ended  chan struct{}
	active sync.WaitGroup

	mu        sync.Mutex // guards what follows, up to state
	closed    bool
	singles   int  // on their way alone
	batching  bool // the batch goroutine is at work
	queue     []*Message
	gathering int              // signal enough when so many are waiting; 0: nobody asks
	enough    chan struct{}    // has room for one
	ids       recent[struct{}] // message ids known to be stored
	revisions recent[uint64]   // newest revision known of a key
	state     writeState

	unanswered chan<- struct{}
}

// Options are what a Writer reports to; all may be empty but the metrics.
type Options struct {
	Metrics *Metrics
	// Acked is called with each message that was stored.
	Acked func(stream, subject string, sequence uint64)
	// Unanswered is sent to when a write gets no answer; it needs room for one.
	Unanswered chan<- struct{}
}

// Message is one that waits to be stored.
type Message struct {
	Msg       *nats.Msg
	ID        string // message id, or empty
	Compare   bool   // expected is to be the revision of the subject
	Expected  uint64
	abandoned bool         // nobody waits for it any more
	turn      chan outcome // has room for one
}

// outcome ends the wait of a write: it is stored or not, or it is its turn to
// be written alone, by the one who waits.
type outcome struct {
	alone bool
	res   Result
	err   error
}

// New makes the writer of a stream; it has to be closed.
func New(js jetstream.JetStream, stream string, o Options) *Writer {
	w := &Writer{
		js: js, stream: stream, metrics: o.Metrics, acked: o.Acked, unanswered: o.Unanswered,
		wake: make(chan struct{}, 1), ended: make(chan struct{}), enough: make(chan struct{}, 1),
		ids: newRecent[struct{}](rememberIDs), revisions: newRecent[uint64](rememberRevisions),
	}
	go w.runBatches()
	return w
}

// Close refuses new writes, waits for those under way and ends the goroutine.
func (w *Writer) Close() {
	w.mu.Lock()
	closed := w.closed
	w.closed = true
	w.mu.Unlock()
	if closed {
		return
	}
	w.active.Wait()
	close(w.wake)
	<-w.ended
}

// Hold waits for the writes under way and holds new ones back until release is called.
// When ctx ends before, nothing is held back.
func (w *Writer) Hold(ctx context.Context) (release func(), err error) {
	if err := w.gate.lock(ctx); err != nil {
		return nil, err
	}
	return w.gate.unlock, nil
}

// Write stores a message. An error means that nobody knows whether it is stored.
func (w *Writer) Write(ctx context.Context, wr *Message) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	start := time.Now()
	res, err := w.store(ctx, wr)
	w.metrics.duration.WithLabelValues(w.stream).Observe(time.Since(start).Seconds())
	result := "stored"
	switch {
	case err != nil:
		result, err = "failed", fault.Unavailable(err)
	case res.Conflict || res.Duplicate:
		result = "refused"
	}
	w.metrics.writes.WithLabelValues(w.stream, result).Inc()
	return res, err
}

func (w *Writer) store(ctx context.Context, wr *Message) (Result, error) {
	if err := w.gate.enter(ctx); err != nil {
		return Result{}, fmt.Errorf("not written in time, as writes are held back for a copy of the store: %w", err)
	}
	defer w.gate.leave()
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return Result{}, fault.ErrClosed
	}
	if err := w.state.frozen; err != nil {
		w.mu.Unlock()
		return Result{}, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	w.active.Add(1)
	defer w.active.Done()
	if res, known := w.remembered(wr); known {
		w.mu.Unlock()
		return res, nil
	}
	if !w.batching && w.singles < maxSingles && len(w.queue) == 0 {
		w.singles++
		w.mu.Unlock()
		return w.storeAlone(ctx, wr)
	}
	wr.turn = make(chan outcome, 1)
	w.queue = append(w.queue, wr)
	if w.gathering > 0 && len(w.queue) >= w.gathering {
		w.gathering = 0
		w.enough <- struct{}{}
	}
	w.schedule()
	w.mu.Unlock()
	select {
	case o := <-wr.turn:
		if o.alone {
			return w.storeAlone(ctx, wr)
		}
		return o.res, o.err
	case <-ctx.Done():
		return w.abandon(ctx, wr)
	}
}

// abandon stops waiting. If the write is still queued it never happens.
func (w *Writer) abandon(ctx context.Context, wr *Message) (Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wr.abandoned = true
	if i := slices.Index(w.queue, wr); i >= 0 {
		w.queue = slices.Delete(w.queue, i, i+1)
		return Result{}, fmt.Errorf("not written in time: %w", ctx.Err())
	}
	select {
	case o := <-wr.turn:
		if !o.alone {
			return o.res, o.err
		}
		w.singles--
		w.schedule()
		return Result{}, fmt.Errorf("not written in time: %w", ctx.Err())
	default:
		return Result{}, fmt.Errorf("not acknowledged in time: %w", ctx.Err())
	}
}

// schedule sends on what waits. mu is held.
func (w *Writer) schedule() {
	if w.batching {
		return
	}
	if len(w.queue) >= minBatch {
		w.batching = true
		w.wake <- struct{}{}
		return
	}
	w.release()
}

// release lets waiting writes go alone, as many as may. mu is held.
func (w *Writer) release() {
	for w.singles < maxSingles && len(w.queue) > 0 {
		wr := w.queue[0]
		w.queue = slices.Delete(w.queue, 0, 1)
		w.singles++
		wr.turn <- outcome{alone: true}
	}
}

// remembered answers a write whose answer is sure already. mu is held.
func (w *Writer) remembered(wr *Message) (Result, bool) {
	if wr.ID != "" {
		if _, ok := w.ids.get(wr.ID); ok {
			return Result{Duplicate: true}, true
		}
	}
	// A deleted or expired key leaves a mark with a newer revision, so an
	// older one never comes true again; 0 does.
	if wr.Compare && wr.Expected > 0 {
		if revision, ok := w.revisions.get(wr.Msg.Subject); ok && revision > wr.Expected {
			return Result{Conflict: true}, true
		}
	}
	return Result{}, false
}

// remember learns from an answer. mu is held.
func (w *Writer) remember(wr *Message, res Result) {
	w.state.last = nil
	if w.acked != nil && !res.Conflict && !res.Duplicate {
		w.acked(w.stream, wr.Msg.Subject, res.Sequence)
	}
	if wr.ID != "" {
		w.ids.put(wr.ID, struct{}{})
	}
	if wr.Compare && !res.Conflict {
		if revision, ok := w.revisions.get(wr.Msg.Subject); !ok || res.Sequence > revision {
			w.revisions.put(wr.Msg.Subject, res.Sequence)
		}
	}
}

// storeAlone publishes one message, in the goroutine of its caller.
func (w *Writer) storeAlone(ctx context.Context, wr *Message) (Result, error) {
	var res Result
	ack, err := w.js.PublishMsg(ctx, wr.Msg)
	switch {
	case err == nil:
		res = Result{Sequence: ack.Sequence, Duplicate: ack.Duplicate}
	case fault.IsConflict(err):
		res, err = Result{Conflict: true}, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.remember(wr, res)
	}
	w.noteFailure(wr.Msg, err)
	w.singles--
	w.schedule()
	return res, err
}
