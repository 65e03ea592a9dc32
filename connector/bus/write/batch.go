package write

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
func (w *Writer) runBatches() {
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
func (w *Writer) gather(n int) {
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
func (w *Writer) storeBatch() int {
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
func (w *Writer) answer(batch []*Message, first uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.metrics.batches.WithLabelValues("stored").Inc()
		for i, wr := range batch {
			res := Result{Sequence: first + uint64(i)}
			w.remember(wr, res)
			wr.turn <- outcome{res: res}
		}
	case errors.Is(err, errRefused):
		w.metrics.batches.WithLabelValues("refused").Inc()
		for _, wr := range batch {
			wr.Msg.Header.Del(headerBatchID)
			wr.Msg.Header.Del(headerBatchSeq)
			wr.Msg.Header.Del(headerBatchCommit)
		}
	default:
		w.metrics.batches.WithLabelValues("failed").Inc()
		w.noteFailure(batch[0].Msg, err)
		for _, wr := range batch {
			wr.turn <- outcome{err: err}
		}
	}
}

// writeAlone has each write of a refused batch done by the one who waits for it.
func (w *Writer) writeAlone(batch []*Message) {
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
func (w *Writer) take() []*Message {
	var batch []*Message
	seen := make(map[string]struct{}, min(len(w.queue), maxBatch))
	size := 0
	rest := w.queue[:0]
	for _, wr := range w.queue {
		if res, known := w.remembered(wr); known {
			wr.turn <- outcome{res: res}
			continue
		}
		key := "id " + wr.ID
		if wr.Compare {
			key = wr.Msg.Subject
		}
		_, twice := seen[key]
		if twice && (wr.Compare || wr.ID != "") || len(batch) == maxBatch || size > maxBatchBytes {
			rest = append(rest, wr)
			continue
		}
		seen[key] = struct{}{}
		size += len(wr.Msg.Data)
		batch = append(batch, wr)
	}
	clear(w.queue[len(rest):])
	w.queue = rest
	return batch
}

// publishBatch stores all messages or none and returns the sequence of the
// first. An error other than errRefused means that nobody knows.
func (w *Writer) publishBatch(batch []*Message) (first uint64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	defer cancel()
	id := rand.Text()
	nc := w.js.Conn()
	last := len(batch) - 1
	for i, wr := range batch {
		wr.Msg.Header.Set(headerBatchID, id)
		wr.Msg.Header.Set(headerBatchSeq, strconv.Itoa(i+1))
		if i == last {
			wr.Msg.Header.Set(headerBatchCommit, "1")
			break
		}
		if err := nc.PublishMsg(wr.Msg); err != nil {
			return 0, fmt.Errorf("%w: %w", errRefused, err) // without its last message it is none
		}
	}
	msg, err := nc.RequestMsgWithContext(ctx, batch[last].Msg)
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
