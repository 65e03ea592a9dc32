package write

import (
	"context"
	"errors"
	"maps"
	"sync"

	"pullprint/connector/bus/fault"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	headerRollup = "Nats-Rollup"
	// noRollup is no value of that header. The server looks at it after message ids and
	// expected revisions and before it stores, proposes or counts anything, alone and in
	// a cluster: a message with it is never stored, and its answer tells what is wrong
	// with the rest of it.
	noRollup = "none"

	codeRollupFailed   jetstream.ErrorCode = 10111
	codeBatchDuplicate jetstream.ErrorCode = 10201 // a message id of the batch is known
)

// sift finds out which writes of a batch made the server refuse it, answers those, and
// returns the others when they are worth a batch. Without it one duplicate in each batch
// that this process does not know, as after a restart, would cost every write a sync to
// disk of its own.
//
// It asks for each write what the server would say, which costs no disk. A write whose
// answer is not clear, and those that are too few for a batch, are done alone.
func (w *Writer) sift(batch []*Message, refusal error) (rest []*Message) {
	if !errors.Is(refusal, errRefused) {
		return nil
	}
	if !blamesOne(refusal) {
		w.writeAlone(batch)
		return nil
	}
	verdicts := w.ask(batch)
	var alone []*Message
	w.mu.Lock()
	for i, wr := range batch {
		switch v := verdicts[i]; {
		case wr.abandoned:
		case v.unclear:
			alone = append(alone, wr)
		case v.passes:
			rest = append(rest, wr)
		default:
			w.remember(wr, v.res)
			wr.turn <- outcome{res: v.res}
		}
	}
	w.mu.Unlock()
	if len(rest) < minBatch {
		rest, alone = nil, append(alone, rest...)
	}
	w.writeAlone(alone)
	return rest
}

// blamesOne reports whether a batch was refused for what single writes of it are, and
// not for what they are together.
func blamesOne(refusal error) bool {
	api, ok := errors.AsType[*jetstream.APIError](refusal)
	return fault.IsConflict(refusal) || ok && api.ErrorCode == codeBatchDuplicate
}

// verdict is what the server says of a write that it was asked about.
type verdict struct {
	res     Result
	passes  bool // nothing is wrong with it
	unclear bool
}

// ask asks the server about all writes of a batch at once.
func (w *Writer) ask(batch []*Message) []verdict {
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	defer cancel()
	verdicts := make([]verdict, len(batch))
	var asked sync.WaitGroup
	for i, wr := range batch {
		asked.Go(func() { verdicts[i] = w.askAbout(ctx, wr) })
	}
	asked.Wait()
	return verdicts
}

func (w *Writer) askAbout(ctx context.Context, wr *Message) verdict {
	msg := &nats.Msg{Subject: wr.Msg.Subject, Data: wr.Msg.Data, Header: maps.Clone(wr.Msg.Header)}
	msg.Header.Set(headerRollup, noRollup)
	ack, err := w.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
	api, answered := errors.AsType[*jetstream.APIError](err)
	switch {
	case err == nil:
		return verdict{res: Result{Sequence: ack.Sequence, Duplicate: ack.Duplicate}}
	case fault.IsConflict(err):
		return verdict{res: Result{Conflict: true}}
	case answered && api.ErrorCode == codeRollupFailed:
		return verdict{passes: true}
	}
	return verdict{unclear: true}
}
