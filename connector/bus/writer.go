package bus

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// writeLimit bounds a write whose context has no deadline.
const writeLimit = 5 * time.Second

// stored is what the server answered to a write.
type stored struct {
	sequence  uint64
	duplicate bool
	conflict  bool // another revision is there by now: surely not stored
}

// writer puts messages into one stream.
type writer struct {
	js      jetstream.JetStream
	stream  string
	metrics *metrics
}

func newWriter(js jetstream.JetStream, stream string, m *metrics) *writer {
	return &writer{js: js, stream: stream, metrics: m}
}

func (w *writer) close() {}

// write stores msg. An error means that nobody knows.
func (w *writer) write(ctx context.Context, msg *nats.Msg) (stored, error) {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	start := time.Now()
	res, err := w.single(ctx, msg)
	w.metrics.writeDuration.WithLabelValues(w.stream).Observe(time.Since(start).Seconds())
	result := "stored"
	switch {
	case err != nil:
		result = "failed"
	case res.conflict || res.duplicate:
		result = "refused"
	}
	w.metrics.writes.WithLabelValues(w.stream, result).Inc()
	return res, err
}

func (w *writer) single(ctx context.Context, msg *nats.Msg) (stored, error) {
	ack, err := w.js.PublishMsg(ctx, msg)
	if isConflict(err) {
		return stored{conflict: true}, nil
	}
	if err != nil {
		return stored{}, err
	}
	return stored{sequence: ack.Sequence, duplicate: ack.Duplicate}, nil
}

func isConflict(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	return api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}
