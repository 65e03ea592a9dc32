package bus

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	headerBatchID     = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
)

// errRefused: the server took nothing of a batch.
var errRefused = errors.New("batch refused")

// runBatches stores batches, one at a time, for as long as enough is waiting.
func (w *writer) runBatches() {
	defer close(w.ended)
	for range w.wake {
		for {
			n := w.storeBatch()
			if n == 0 {
				break
			}
			w.gather(n)
		}
	}
}

// gather waits a moment for n writes, as many as the last batch had.
func (w *writer) gather(n int) {
	w.mu.Lock()
	if len(w.queue) >= n {
		w.mu.Unlock()
		return
	}
	w.gathering = n
	w.mu.Unlock()
	timer := time.NewTimer(gatherFor)
	defer timer.Stop()
	select {
	case <-w.enough:
	case <-timer.C:
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.gathering == 0 { // enough was sent meanwhile
			<-w.enough
		}
		w.gathering = 0
	}
}

// storeBatch stores one batch and returns its size; 0 when there is not enough
// for one.
func (w *writer) storeBatch() int {
	w.mu.Lock()
	batch := w.take()
	if len(batch) < minBatch {
		w.queue = append(batch, w.queue...)
		w.batching = false
		w.release()
		w.mu.Unlock()
		return 0
	}
	w.mu.Unlock()

	first, err := w.publishBatch(batch)
	w.answer(batch, first, err)
	if rest := w.sift(batch, err); len(rest) > 0 {
		first, err = w.publishBatch(rest)
		w.answer(rest, first, err)
		if errors.Is(err, errRefused) {
			w.writeAlone(rest)
		}
	}
	return len(batch)
}

// answer tells the writes of a batch what became of it. Those of a refused one wait on.
func (w *writer) answer(batch []*write, first uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.metrics.batches.WithLabelValues("stored").Inc()
		for i, wr := range batch {
			res := stored{sequence: first + uint64(i)}
			w.remember(wr, res)
			wr.turn <- outcome{res: res}
		}
	case errors.Is(err, errRefused):
		w.metrics.batches.WithLabelValues("refused").Inc()
		for _, wr := range batch {
			wr.msg.Header.Del(headerBatchID)
			wr.msg.Header.Del(headerBatchSeq)
			wr.msg.Header.Del(headerBatchCommit)
		}
	default:
		w.metrics.batches.WithLabelValues("failed").Inc()
		w.noteFailure(batch[0].msg, err)
		for _, wr := range batch {
			wr.turn <- outcome{err: err}
		}
	}
}

// writeAlone has each write of a refused batch done by the one who waits for it.
func (w *writer) writeAlone(batch []*write) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, wr := range batch {
		if !wr.abandoned {
			w.singles++
			wr.turn <- outcome{alone: true}
		}
	}
}

// take removes from the queue what can go into one batch: no subject that is
// compared and no message id twice. mu is held.
func (w *writer) take() []*write {
	var batch []*write
	seen := make(map[string]struct{}, min(len(w.queue), maxBatch))
	size := 0
	rest := w.queue[:0]
	for _, wr := range w.queue {
		if res, known := w.known(wr); known {
			wr.turn <- outcome{res: res}
			continue
		}
		key := "id " + wr.id
		if wr.cas {
			key = wr.msg.Subject
		}
		_, twice := seen[key]
		if twice && (wr.cas || wr.id != "") || len(batch) == maxBatch || size > maxBatchBytes {
			rest = append(rest, wr)
			continue
		}
		seen[key] = struct{}{}
		size += len(wr.msg.Data)
		batch = append(batch, wr)
	}
	clear(w.queue[len(rest):])
	w.queue = rest
	return batch
}

// publishBatch stores all messages or none and returns the sequence of the
// first. An error other than errRefused means that nobody knows.
func (w *writer) publishBatch(batch []*write) (first uint64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), writeLimit)
	defer cancel()
	id := rand.Text()
	nc := w.js.Conn()
	last := len(batch) - 1
	for i, wr := range batch {
		wr.msg.Header.Set(headerBatchID, id)
		wr.msg.Header.Set(headerBatchSeq, strconv.Itoa(i+1))
		if i == last {
			wr.msg.Header.Set(headerBatchCommit, "1")
			break
		}
		if err := nc.PublishMsg(wr.msg); err != nil {
			return 0, fmt.Errorf("%w: %w", errRefused, err) // without its last message it is none
		}
	}
	msg, err := nc.RequestMsgWithContext(ctx, batch[last].msg)
	if errors.Is(err, nats.ErrNoResponders) {
		return 0, fmt.Errorf("%w: %w", errRefused, err)
	}
	if err != nil {
		return 0, fmt.Errorf("batch not acknowledged: %w", err)
	}
	var ack struct {
		Error    *jetstream.APIError `json:"error"`
		Sequence uint64              `json:"seq"`
		Batch    string              `json:"batch"`
		Count    int                 `json:"count"`
	}
	if err := json.Unmarshal(msg.Data, &ack); err != nil {
		return 0, fmt.Errorf("decode acknowledgement of batch: %w", err)
	}
	if ack.Error != nil {
		return 0, fmt.Errorf("%w: %w", errRefused, ack.Error)
	}
	if ack.Batch != id || ack.Count != len(batch) || ack.Sequence < uint64(len(batch)) {
		return 0, errors.New("acknowledgement of batch doesn't match")
	}
	return ack.Sequence - uint64(last), nil //nolint:gosec // last is a count
}
