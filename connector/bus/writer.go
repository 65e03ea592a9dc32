package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"pullprint/connector/store"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// writeLimit bounds every write, whatever deadline its context has.
	writeLimit = 5 * time.Second
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

// stored is what the server answered to a write.
type stored struct {
	sequence  uint64
	duplicate bool // a message with this id is there already
	conflict  bool // another revision is there by now: surely not stored
}

// writer puts messages into one stream. A write goes out alone and at once
// while few are on their way; when they begin to queue, all that wait go as one
// atomic batch, which costs one sync to disk instead of one each.
//
// The server takes all of a batch or nothing: one conflict or known message id
// refuses it. Those are then found and answered (see sift), and the others go as a
// batch again; what is refused twice is written one by one. What is sure to be refused
// is recognised before: ids stored lately, and revisions that we have ourselves replaced.
type writer struct {
	js      jetstream.JetStream
	stream  string
	metrics *metrics
	marks   *marker // nil with an external server
	// gate is locked while the store is to stand still.
	gate gate

	wake   chan struct{}
	ended  chan struct{}
	active sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	singles   int  // on their way alone
	batching  bool // the batch goroutine is at work
	queue     []*write
	gathering int              // signal enough when so many are waiting; 0: nobody asks
	enough    chan struct{}    // has room for one
	ids       recent[struct{}] // message ids known to be stored
	revisions recent[uint64]   // newest revision known of a key
	state     writeState

	unanswered chan<- struct{} // is told of a write without an answer; it may be nil
}

// write is one message waiting to be stored.
type write struct {
	msg       *nats.Msg
	id        string // message id, or empty
	cas       bool   // expected is to be the revision of the subject
	expected  uint64
	abandoned bool         // nobody waits for it any more
	turn      chan outcome // has room for one
}

// outcome ends the wait of a write: it is stored or not, or it is its turn to
// be written alone, by the one who waits.
type outcome struct {
	alone bool
	res   stored
	err   error
}

func newWriter(js jetstream.JetStream, stream string, m *metrics) *writer {
	w := &writer{
		js: js, stream: stream, metrics: m,
		wake: make(chan struct{}, 1), ended: make(chan struct{}), enough: make(chan struct{}, 1),
		ids: newRecent[struct{}](rememberIDs), revisions: newRecent[uint64](rememberRevisions),
	}
	go w.runBatches()
	return w
}

// close refuses new writes, waits for those under way and ends the goroutine.
func (w *writer) close() {
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

// write stores a message. An error means that nobody knows whether it is stored.
func (w *writer) write(ctx context.Context, wr *write) (stored, error) {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	start := time.Now()
	res, err := w.store(ctx, wr)
	w.metrics.writeDuration.WithLabelValues(w.stream).Observe(time.Since(start).Seconds())
	result := "stored"
	switch {
	case err != nil:
		result, err = "failed", unavailable(err)
	case res.conflict || res.duplicate:
		result = "refused"
	}
	w.metrics.writes.WithLabelValues(w.stream, result).Inc()
	return res, err
}

func (w *writer) store(ctx context.Context, wr *write) (stored, error) {
	if err := w.gate.enter(ctx); err != nil {
		return stored{}, fmt.Errorf("not written in time, as writes are held back for a copy of the store: %w", err)
	}
	defer w.gate.leave()
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return stored{}, errClosed
	}
	if err := w.state.frozen; err != nil {
		w.mu.Unlock()
		return stored{}, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	w.active.Add(1)
	defer w.active.Done()
	if res, known := w.known(wr); known {
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
func (w *writer) abandon(ctx context.Context, wr *write) (stored, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wr.abandoned = true
	if i := slices.Index(w.queue, wr); i >= 0 {
		w.queue = slices.Delete(w.queue, i, i+1)
		return stored{}, fmt.Errorf("not written in time: %w", ctx.Err())
	}
	select {
	case o := <-wr.turn:
		if !o.alone {
			return o.res, o.err
		}
		w.singles--
		w.schedule()
		return stored{}, fmt.Errorf("not written in time: %w", ctx.Err())
	default:
		return stored{}, fmt.Errorf("not acknowledged in time: %w", ctx.Err())
	}
}

// schedule sends on what waits. mu is held.
func (w *writer) schedule() {
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
func (w *writer) release() {
	for w.singles < maxSingles && len(w.queue) > 0 {
		wr := w.queue[0]
		w.queue = slices.Delete(w.queue, 0, 1)
		w.singles++
		wr.turn <- outcome{alone: true}
	}
}

// known answers a write whose answer is sure already. mu is held.
func (w *writer) known(wr *write) (stored, bool) {
	if wr.id != "" {
		if _, ok := w.ids.get(wr.id); ok {
			return stored{duplicate: true}, true
		}
	}
	// A deleted or expired key leaves a mark with a newer revision, so an
	// older one never comes true again; 0 does.
	if wr.cas && wr.expected > 0 {
		if revision, ok := w.revisions.get(wr.msg.Subject); ok && revision > wr.expected {
			return stored{conflict: true}, true
		}
	}
	return stored{}, false
}

// remember learns from an answer. mu is held.
func (w *writer) remember(wr *write, res stored) {
	w.state.last = nil
	if w.marks != nil && !res.conflict && !res.duplicate {
		w.marks.acked(w.stream, wr.msg.Subject, res.sequence)
	}
	if wr.id != "" {
		w.ids.put(wr.id, struct{}{})
	}
	if wr.cas && !res.conflict {
		if revision, ok := w.revisions.get(wr.msg.Subject); !ok || res.sequence > revision {
			w.revisions.put(wr.msg.Subject, res.sequence)
		}
	}
}

// storeAlone publishes one message, in the goroutine of its caller.
func (w *writer) storeAlone(ctx context.Context, wr *write) (stored, error) {
	var res stored
	ack, err := w.js.PublishMsg(ctx, wr.msg)
	switch {
	case err == nil:
		res = stored{sequence: ack.Sequence, duplicate: ack.Duplicate}
	case isConflict(err):
		res, err = stored{conflict: true}, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.remember(wr, res)
	}
	w.noteFailure(wr.msg, err)
	w.singles--
	w.schedule()
	return res, err
}

func isConflict(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	return api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}
