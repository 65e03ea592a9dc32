package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats-server/v2/server/archive"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pullprint/connector/bus/schema"
	"pullprint/trigger/wait"
)

const (
	// chunkSize is that of the chunks that the nats command line sends.
	chunkSize = 128 << 10
	// chunkWithin is how long a server may take to store a chunk, and lastWithin to
	// make the stream of all of them.
	chunkWithin = 30 * time.Second
	lastWithin  = 10 * time.Minute
	// restoreWithin is how long a server may take to begin a restore.
	restoreWithin = 30 * time.Second
	// restoreRetry is how often a cluster that has no leader is asked again; it chooses one
	// within a few seconds.
	restoreRetry = 250 * time.Millisecond
)

// RestoreStream has the server make a stream out of an archive, as the one that
// `nats stream backup` makes of it: with the sequences and times that it had.
func RestoreStream(ctx context.Context, nc *nats.Conn, f *File, cfg jetstream.StreamConfig) error {
	t := NewTally(cfg.Name)
	end := f.Trailer.Streams[cfg.Name]
	first := end.Last + 1
	err := f.each(cfg.Name, func(m *Record) error {
		first = min(first, m.Sequence)
		t.Add(m)
		return nil
	})
	if err != nil {
		return err
	}
	state := jetstream.StreamState{
		Msgs: uint64(t.Messages), Bytes: uint64(t.Bytes), FirstSeq: first, LastSeq: end.Last, //nolint:gosec // counts
	}
	if cfg.Name == schema.Tasks {
		state.Consumers = 1
	}
	subject, err := askRestore(ctx, nc, cfg, state)
	if err != nil {
		return err
	}
	chunks := &chunkWriter{ctx: ctx, nc: nc, subject: subject}
	// The server reads archives through s2.Reader. Compressing would only cost time: nothing
	// of the archive is stored.
	compressed := s2.NewWriter(chunks, s2.WriterConcurrency(1), s2.WriterSnappyCompat(), s2.WriterUncompressed())
	if err := writeArchive(compressed, f, cfg.Name, state); err != nil {
		return err
	}
	if err := compressed.Close(); err != nil {
		return err
	}
	return chunks.finish()
}

func askRestore(
	ctx context.Context, nc *nats.Conn, cfg jetstream.StreamConfig, state jetstream.StreamState,
) (string, error) {
	req, err := json.Marshal(map[string]any{"config": cfg, "state": state})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, restoreWithin)
	defer cancel()
	var msg *nats.Msg
	for {
		msg, err = nc.RequestWithContext(ctx, "$JS.API.STREAM.RESTORE."+cfg.Name, req)
		// While a cluster has no leader nobody hears the question, and nothing was done.
		if !errors.Is(err, nats.ErrNoResponders) || wait.Sleep(ctx, restoreRetry) != nil {
			break
		}
	}
	if err != nil {
		return "", err
	}
	return answered(msg)
}

// answered returns where a server wants the archive to be sent, or its error.
func answered(msg *nats.Msg) (deliver string, err error) {
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Deliver string              `json:"deliver_subject"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return "", fmt.Errorf("decode answer: %w", err)
	}
	if answer.Error != nil {
		return "", answer.Error
	}
	return answer.Deliver, nil
}

// writeArchive writes a stream as NATS's archives have it: its state, its
// consumers, its messages, and an empty entry as end.
func writeArchive(w io.Writer, f *File, stream string, state jetstream.StreamState) error {
	a := archive.NewWriter(w)
	put := func(h archive.Header, parts ...[]byte) error {
		if err := a.WriteHeader(&h); err != nil {
			return err
		}
		for _, p := range parts {
			if _, err := a.Write(p); err != nil {
				return err
			}
		}
		return nil
	}
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	now := time.Now().UnixNano()
	if err := put(archive.Header{Name: "state.json", Timestamp: now, PayloadSize: int64(len(text))}, text); err != nil {
		return err
	}
	if stream == schema.Tasks {
		floor := map[string]uint64{"consumer_seq": f.Trailer.Floor.Consumer, "stream_seq": f.Trailer.Floor.Stream}
		text, err := json.Marshal(map[string]any{
			"config": schema.TaskConsumer(), "state": map[string]any{"delivered": floor, "ack_floor": floor},
		})
		if err != nil {
			return err
		}
		if err := put(archive.Header{Name: "consumers/" + schema.Consumer, Timestamp: now, PayloadSize: int64(len(text))},
			text); err != nil {
			return err
		}
	}
	err = f.each(stream, func(m *Record) error {
		header := headerBytes(m.Header)
		return put(archive.Header{
			Name: m.Subject, Timestamp: m.Time.UnixNano(), Sequence: m.Sequence, HeaderSize: int64(len(header)),
			PayloadSize: int64(len(m.Body)),
		}, header, m.Body)
	})
	if err != nil {
		return err
	}
	return put(archive.Header{})
}

// chunkWriter sends what is written to the server that restores a stream, and
// waits for each chunk to be taken.
type chunkWriter struct {
	ctx     context.Context
	nc      *nats.Conn
	subject string
	buf     []byte
}

func (c *chunkWriter) Write(p []byte) (int, error) {
	c.buf = append(c.buf, p...)
	for len(c.buf) >= chunkSize {
		if err := c.send(c.buf[:chunkSize], chunkWithin); err != nil {
			return 0, err
		}
		c.buf = append(c.buf[:0], c.buf[chunkSize:]...)
	}
	return len(p), nil
}

// send sends a chunk, nil as the end, and waits for the server to take it.
func (c *chunkWriter) send(chunk []byte, within time.Duration) error {
	ctx, cancel := context.WithTimeout(c.ctx, within)
	defer cancel()
	msg, err := c.nc.RequestWithContext(ctx, c.subject, chunk)
	if err != nil || len(msg.Data) == 0 {
		return err
	}
	_, err = answered(msg)
	if _, refused := errors.AsType[*jetstream.APIError](err); refused {
		return fmt.Errorf("%w (a server older than 2.15 can't restore this)", err)
	}
	return err
}

// finish says that this is all, and waits for the stream to be there.
func (c *chunkWriter) finish() error {
	if len(c.buf) > 0 {
		if err := c.send(c.buf, chunkWithin); err != nil {
			return err
		}
	}
	return c.send(nil, lastWithin)
}
