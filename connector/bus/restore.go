package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"pullprint/connector/bus/schema"
	"pullprint/connector/terminal"
	"pullprint/trigger/wait"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats-server/v2/server/archive"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrNotEmpty: there is something where a backup is to be restored.
	ErrNotEmpty = errors.New("the store is not empty")
	// ErrHalfRestored: a restore was interrupted.
	ErrHalfRestored = errors.New("the store was restored by half")
)

const (
	// restoring marks the streams of an external server until all of them are
	// restored: no daemon works with them before.
	restoring = "pullprint.restoring"

	chunkSize   = 128 << 10
	chunkWithin = 30 * time.Second
	// restoreRetry is how often a cluster that has no leader is asked again; it chooses one
	// within a few seconds.
	restoreRetry = 250 * time.Millisecond
	lastWithin   = 10 * time.Minute
	// settleWithin is how long the replicas of a new stream may take to catch up.
	settleWithin = time.Minute
)

// RestoreOptions say how a backup is restored.
type RestoreOptions struct {
	Options
	// Replace lets what is there be replaced.
	Replace bool
}

// Restore puts a backup where the configuration keeps its state, with the
// sequences, times and revisions it had, and reads all of it back: what it returns
// was counted and hashed on both sides, message by message. What would have
// expired by now is left out, and leases too. No daemon may be using the store.
//
// An embedded store is made in a folder beside and takes the place of the old one
// only when it is complete and checked; the old one is kept, and replaced says
// where. The streams of an external server are restored one after the other, and
// carry a mark until all are checked: interrupted, no daemon works with them, and
// Restore goes on where it stopped. An external server does not remember the message
// ids of before until it starts anew: what is published twice then is told apart by
// whoever reads it, as ever.
func Restore(
	ctx context.Context, cfg Config, src io.ReaderAt, size int64, o RestoreOptions,
) (c Contents, replaced string, err error) {
	f, err := openBackup(src, size)
	if err != nil {
		return Contents{}, "", err
	}
	if f.header.Format > stateFormat && f.header.Readable > stateFormat {
		return Contents{}, "", fmt.Errorf("%w: the backup is of format %d and this program knows %d", ErrFormat,
			f.header.Format, stateFormat)
	}
	if cfg.Embedded != nil {
		return restoreEmbedded(ctx, cfg, f, o)
	}
	c, err = restoreExternal(ctx, cfg, f, o)
	return c, "", err
}

func restoreExternal(ctx context.Context, cfg Config, f *backupFile, o RestoreOptions) (Contents, error) {
	b, err := attach(ctx, cfg, o.Options)
	if err != nil {
		return Contents{}, err
	}
	defer func() { _ = b.Close() }()
	if err := b.inUse(ctx); err != nil {
		return Contents{}, err
	}
	if err := b.makeRoom(ctx, o.Replace); err != nil {
		return Contents{}, err
	}
	c, err := b.restoreAll(ctx, f, map[string]string{restoring: f.header.Created.Format(time.RFC3339Nano)})
	if err != nil {
		return c, err
	}
	for _, p := range schema.Streams(1) {
		s, err := b.js.Stream(ctx, p.Config.Name)
		if err != nil {
			return c, fmt.Errorf("read stream %s: %w", p.Config.Name, err)
		}
		done := s.CachedInfo().Config
		delete(done.Metadata, restoring)
		if _, err := b.js.UpdateStream(ctx, done); err != nil {
			return c, fmt.Errorf("finish stream %s: %w", p.Config.Name, err)
		}
	}
	return c, b.Close()
}

// makeRoom refuses streams that hold something, unless they come from a restore
// that was interrupted, or may be replaced.
func (b *Bus) makeRoom(ctx context.Context, replace bool) error {
	for _, p := range schema.Streams(1) {
		s, err := b.js.Stream(ctx, p.Config.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read stream %s: %w", p.Config.Name, err)
		}
		info := s.CachedInfo()
		if !replace && info.Config.Metadata[restoring] == "" && info.State.LastSeq > 0 {
			return fmt.Errorf("%w: stream %s has %s; nothing was changed: give --replace if all of them may go",
				ErrNotEmpty, p.Config.Name, terminal.Counted(int(info.State.Msgs), "message")) //nolint:gosec // that many fit
		}
	}
	return nil
}

// restoreAll makes every stream out of a backup and compares it with it. A stream
// that has what it should have already, from a try before, stays.
func (b *Bus) restoreAll(ctx context.Context, f *backupFile, metadata map[string]string) (Contents, error) {
	c := Contents{Created: f.header.Created}
	for _, p := range b.cfg.wanted() {
		p.Config.Metadata = metadata
		name := p.Config.Name
		there, err := b.js.Stream(ctx, name)
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return c, fmt.Errorf("read stream %s: %w", name, err)
		}
		if err == nil && metadata[restoring] != "" && there.CachedInfo().Config.Metadata[restoring] == metadata[restoring] {
			if got, err := b.compare(ctx, f, p.Config); err == nil {
				c.Streams = append(c.Streams, got)
				continue
			}
		}
		if err == nil {
			if err := b.js.DeleteStream(ctx, name); err != nil {
				return c, fmt.Errorf("remove stream %s: %w", name, err)
			}
		}
		if err := b.restoreStream(ctx, f, p.Config); err != nil {
			return c, fmt.Errorf("restore stream %s: %w", name, err)
		}
		got, err := b.compareCaughtUp(ctx, f, p.Config)
		if err != nil {
			return c, err
		}
		c.Streams = append(c.Streams, got)
	}
	return c, nil
}

// compareCaughtUp is compare, once the replicas of a new stream have caught up with
// its leader: any of them may be read from.
func (b *Bus) compareCaughtUp(ctx context.Context, f *backupFile, cfg jetstream.StreamConfig) (StreamContents, error) {
	for began := time.Now(); ; b.pause(ctx, readRetry) {
		got, err := b.compare(ctx, f, cfg)
		if err == nil || cfg.Replicas < 2 || ctx.Err() != nil || time.Since(began) > settleWithin {
			return got, err
		}
	}
}

// restoreStream has the server make a stream out of an archive, as the one that
// `nats stream backup` makes of it: with the sequences and times that it had.
func (b *Bus) restoreStream(ctx context.Context, f *backupFile, cfg jetstream.StreamConfig) error {
	t := newTally(cfg.Name)
	end := f.trailer.Streams[cfg.Name]
	first := end.Last + 1
	err := f.each(cfg.Name, func(m *record) error {
		first = min(first, m.seq)
		t.add(m)
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
	subject, err := b.askRestore(ctx, cfg, state)
	if err != nil {
		return err
	}
	chunks := &chunkWriter{ctx: ctx, nc: b.nc, subject: subject}
	// The server reads archives through s2.Reader. Compressing would only cost time: nothing
	// of the archive is stored.
	archive := s2.NewWriter(chunks, s2.WriterConcurrency(1), s2.WriterSnappyCompat(), s2.WriterUncompressed())
	if err := writeArchive(archive, f, cfg.Name, state); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return chunks.finish()
}

func (b *Bus) askRestore(ctx context.Context, cfg jetstream.StreamConfig, state jetstream.StreamState) (string, error) {
	req, err := json.Marshal(map[string]any{"config": cfg, "state": state})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, chunkWithin)
	defer cancel()
	var msg *nats.Msg
	for {
		msg, err = b.nc.RequestWithContext(ctx, "$JS.API.STREAM.RESTORE."+cfg.Name, req)
		// While a cluster has no leader nobody hears the question, and nothing was done.
		if !errors.Is(err, nats.ErrNoResponders) || wait.Sleep(ctx, restoreRetry) != nil {
			break
		}
	}
	if err != nil {
		return "", err
	}
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
func writeArchive(w io.Writer, f *backupFile, stream string, state jetstream.StreamState) error {
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
		floor := map[string]uint64{"consumer_seq": f.trailer.Floor.Consumer, "stream_seq": f.trailer.Floor.Stream}
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
	err = f.each(stream, func(m *record) error {
		header := headerBytes(m.header)
		return put(archive.Header{
			Name: m.subj, Timestamp: m.time.UnixNano(), Sequence: m.seq, HeaderSize: int64(len(header)),
			PayloadSize: int64(len(m.body)),
		}, header, m.body)
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
		if err := c.send(c.buf[:chunkSize]); err != nil {
			return 0, err
		}
		c.buf = append(c.buf[:0], c.buf[chunkSize:]...)
	}
	return len(p), nil
}

func (c *chunkWriter) send(chunk []byte) error {
	ctx, cancel := context.WithTimeout(c.ctx, chunkWithin)
	defer cancel()
	msg, err := c.nc.RequestWithContext(ctx, c.subject, chunk)
	if err != nil {
		return err
	}
	return restoreAnswer(msg)
}

// finish says that this is all, and waits for the stream to be there.
func (c *chunkWriter) finish() error {
	if len(c.buf) > 0 {
		if err := c.send(c.buf); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(c.ctx, lastWithin)
	defer cancel()
	msg, err := c.nc.RequestWithContext(ctx, c.subject, nil)
	if err != nil {
		return err
	}
	return restoreAnswer(msg)
}

func restoreAnswer(msg *nats.Msg) error {
	if len(msg.Data) == 0 {
		return nil
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	if answer.Error != nil {
		return fmt.Errorf("%w (a server older than 2.15 can't restore this)", answer.Error)
	}
	return nil
}
