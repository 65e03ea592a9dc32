package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"pullprint/connector/bus/backup"
	"pullprint/connector/bus/disk"
	"pullprint/connector/bus/schema"
	"pullprint/connector/bus/stored"
	"pullprint/connector/store"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// ErrBusy: writes did not pause for long enough to copy one moment of the store.
var ErrBusy = errors.New("the store never stands still")

const (
	// freeRounds is how many rounds are made before writers are held back: the first copies
	// everything, the second what was written meanwhile.
	freeRounds = 2
	// maxHolds is how often they are held back, for holdFor each, and holdAgain what they have
	// between: half of their time. Whoever is asked may be busy with a write that hangs.
	maxHolds  = 4
	holdAgain = holdFor
	// roundPause is what a replica that is behind gets until it is read again: a tenth of what
	// a round over a network takes.
	roundPause = 5 * time.Millisecond
)

// Backup writes a copy of everything that is stored to w, while it is in use, and
// tells for how long writes had to wait for it.
//
// The copy is consistent: all of it is the state of the store at one moment. A job's
// record and the account that pays for it are in two buckets, and the history of the
// account is in a stream. A record that says that the job was let print, with an
// account from before, would be a page nobody pays for; the other way round, a
// reservation that never ends. A history ahead of its account would refuse the next
// entry of the account as already stored.
//
// First everything is copied while it changes. Then what was written meanwhile is
// copied, round after round, until nothing was written between the beginning and the
// end of a round, a few milliseconds. For the last rounds writers are held back: those in
// this process, and with an external store those of the other processes, which are asked
// to. Of a bucket the last value of each key counts.
//
// JetStream's own snapshots can't be used: one ends at the sequence at which it began,
// so it loses each key that is written again meanwhile (a bucket keeps one message a
// key), and the snapshots of several streams are of different moments.
//
// A restored store is what a kill -9 at that moment would have left, and the daemon
// continues as after a crash: a record with an intent is read back from Graph, a task
// in work is delivered again, and an account's outbox is stored in the history. What
// happened later is known to Graph only: a job that printed meanwhile is noticed when
// it is touched, and nothing prints twice; its cost is lost.
func (b *Bus) Backup(ctx context.Context, w io.Writer) (held time.Duration, err error) {
	c, err := b.newSnapshot(ctx, w)
	if err != nil {
		return 0, err
	}
	moving := "the store"
	for n := 0; n < freeRounds && moving != ""; n++ {
		if moving, err = c.copyRound(ctx); err != nil {
			return 0, err
		}
	}
	for n := 0; moving != ""; n++ {
		if n == maxHolds {
			return held, fmt.Errorf("%w: %s was ahead of the copy although writes were held back %d times for %s; "+
				"try again when less is printed, or stop the daemons", ErrBusy, moving, n, holdFor)
		}
		if n > 0 {
			b.link.Pause(ctx, holdAgain)
		}
		began := time.Now()
		moving, err = c.copyRoundHeld(ctx)
		if held += time.Since(began); err != nil {
			return held, err
		}
	}
	if held > 0 {
		b.log.Info("store backed up", zap.Duration("writes_held", held))
	}
	return held, c.out.Close(c.trailer)
}

// Backup writes a copy of the store of a configuration to w. It needs an embedded
// store for itself; an external one may be in use.
func Backup(ctx context.Context, cfg Config, o Options, w io.Writer) error {
	if err := mustExist(cfg); err != nil {
		return err
	}
	return attached(ctx, cfg, o, func(b *Bus) error {
		_, err := b.Backup(ctx, w)
		return err
	})
}

// mustExist fails when there is no store, so that a misspelt folder is not backed up as
// an empty one.
func mustExist(cfg Config) error {
	if cfg.Embedded == nil {
		return nil
	}
	used, err := disk.HoldsStreams(filepath.Join(cfg.Embedded.StoreDir, disk.LiveFolder))
	if err == nil && !used {
		err = fmt.Errorf("there is no store in %s (nats.embedded.store_dir)", cfg.Embedded.StoreDir)
	}
	return err
}

// snapshot is a copy being made.
type snapshot struct {
	bus     *Bus
	out     *backup.Writer
	readers map[string]*stored.Reader
	keys    map[string]map[string]struct{}
	trailer backup.Trailer
}

func (b *Bus) newSnapshot(ctx context.Context, w io.Writer) (*snapshot, error) {
	out, err := backup.NewWriter(w)
	if err != nil {
		return nil, err
	}
	c := &snapshot{
		bus: b, out: out, readers: map[string]*stored.Reader{}, keys: map[string]map[string]struct{}{},
		trailer: backup.Trailer{Streams: map[string]backup.StreamEnd{}},
	}
	is := format{Format: 1, Readable: 1}
	if st, err := b.positionOf(ctx, "KV_"+schema.StateBucket); err != nil {
		return nil, err
	} else if st.found {
		if is, _, err = b.peekFormat(ctx); err != nil {
			return nil, err
		}
	}
	for _, p := range schema.Streams(1) {
		c.readers[p.Config.Name] = &stored.Reader{Link: b.link, Stream: p.Config.Name}
		c.keys[p.Config.Name] = map[string]struct{}{}
	}
	return c, out.WriteHeader(backup.Header{Created: time.Now().UTC(), Format: is.Format, Readable: is.Readable})
}

// peekFormat is format before there is a state bucket of ours.
func (b *Bus) peekFormat(ctx context.Context) (format, uint64, error) {
	with := &Bus{cfg: b.cfg, link: b.link, state: stored.NewKV(b.link, schema.StateBucket, nil)}
	return with.format(ctx)
}

// copyRoundHeld copies in rounds while writes are held back, until it has all of one moment.
// Otherwise it names a stream that was ahead of the copy: what the server does by itself, as
// forgetting what has expired, may come between, and so may the writes of a process that
// does not hold them back.
func (c *snapshot) copyRoundHeld(ctx context.Context) (moving string, err error) {
	holding, cancel := context.WithTimeout(ctx, holdFor)
	defer cancel()
	release, err := c.bus.holdAll(holding)
	if err != nil {
		return "a write under way", ctx.Err()
	}
	defer release()
	moving = "the store"
	for holding.Err() == nil {
		now, err := c.copyRound(holding)
		switch {
		case holding.Err() != nil: // what was copied of the round counts
		case err != nil || now == "":
			return "", err
		default:
			moving = now
		}
		c.bus.link.Pause(holding, roundPause)
	}
	return moving, ctx.Err()
}

// copyRound copies what was written since the round before. It names a stream that was written
// to while it did, or that it has not read to the end; none when the copy is of one moment.
func (c *snapshot) copyRound(ctx context.Context) (moving string, err error) {
	if err := c.ackFloor(ctx); err != nil {
		return "", err
	}
	before, err := c.look(ctx)
	if err != nil {
		return "", err
	}
	for _, p := range schema.Streams(1) {
		if before[p.Config.Name] == nil {
			continue
		}
		if err := c.copyNew(ctx, p.Config.Name, before[p.Config.Name].LastSeq); err != nil {
			return "", fmt.Errorf("copy %s: %w", p.Config.Name, err)
		}
	}
	after, err := c.look(ctx)
	if err != nil {
		return "", err
	}
	for _, p := range schema.Streams(1) {
		name := p.Config.Name
		whole, err := c.whole(ctx, name, before[name], after[name])
		if err != nil {
			return "", err
		}
		if !whole {
			moving = name
		}
	}
	return moving, nil
}

// whole reports whether the copy has all that a stream had before a round and after it.
// What was stored last may have been removed again, by erasing a person or because it has
// expired: then the stream's last sequence is that of no message.
func (c *snapshot) whole(ctx context.Context, stream string, before, after *jetstream.StreamState) (bool, error) {
	end, copied := c.trailer.Streams[stream], c.readers[stream].Last
	if before == nil || after == nil {
		c.trailer.Streams[stream] = end
		return before == after, nil
	}
	end.First, end.Last = after.FirstSeq, after.LastSeq
	c.trailer.Streams[stream] = end
	if after.LastSeq != before.LastSeq || copied > before.LastSeq {
		return false, nil
	}
	// Whoever was read from may be a replica that lags behind: the leader knows.
	none, err := c.bus.link.NothingAfter(ctx, stream, ">", copied)
	if err != nil || !none {
		return false, err
	}
	if has, holds := c.kept(stream), held(stream, after); has < holds {
		return false, fmt.Errorf("%w: %s gives out %d of the messages that it holds, which are %d; `pullprint restore FILE` "+
			"from a backup", store.ErrDamaged, stream, has, holds)
	}
	return true, nil
}

// held is how many messages of a stream a copy must have: of a bucket one for each key,
// also where an external server keeps older ones.
func held(stream string, is *jetstream.StreamState) uint64 {
	if schema.OnlyGrows(stream) {
		return is.Msgs
	}
	return is.NumSubjects
}

// kept is how many of them the copy has.
func (c *snapshot) kept(stream string) uint64 {
	if schema.OnlyGrows(stream) {
		return c.trailer.Streams[stream].Messages
	}
	return uint64(len(c.keys[stream]))
}

// ackFloor stores up to which task all are done. It is read before the records: a task
// that is finished in between is delivered again after a restore, which does no harm.
func (c *snapshot) ackFloor(ctx context.Context) error {
	cons, err := c.bus.link.JS.Consumer(ctx, schema.Tasks, schema.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read consumer %s: %w", schema.Consumer, err)
	}
	c.trailer.Floor = cons.CachedInfo().AckFloor
	return nil
}

// look reads how far each stream is, nil where there is none. All are asked at once: the time
// between two looks is the time in which nothing may be written.
func (c *snapshot) look(ctx context.Context) (map[string]*jetstream.StreamState, error) {
	list := schema.Streams(1)
	states := make([]*jetstream.StreamState, len(list))
	g, ctx := errgroup.WithContext(ctx)
	for i, p := range list {
		g.Go(func() (err error) {
			states[i], err = c.state(ctx, p.Config.Name)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := map[string]*jetstream.StreamState{}
	for i, p := range list {
		out[p.Config.Name] = states[i]
	}
	return out, nil
}

func (c *snapshot) state(ctx context.Context, stream string) (*jetstream.StreamState, error) {
	s, err := c.bus.link.JS.Stream(ctx, stream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	case s.CachedInfo().Config.Metadata[restoring] != "":
		return nil, fmt.Errorf("%w: stream %s; run that again first", ErrHalfRestored, stream)
	}
	return &s.CachedInfo().State, nil
}

// copyNew copies what is stored after what was copied before.
func (c *snapshot) copyNew(ctx context.Context, stream string, last uint64) error {
	r := c.readers[stream]
	if r.Last >= last {
		return nil
	}
	if err := c.out.BeginStream(stream); err != nil {
		return err
	}
	end := c.trailer.Streams[stream]
	err := r.Read(ctx, func(m stored.Message) error {
		if m.Sequence <= r.Last {
			return nil
		}
		end.Messages++
		if !schema.OnlyGrows(stream) {
			c.keys[stream][m.Subject] = struct{}{}
		}
		rec := recordOf(&m)
		return c.out.WriteMessage(&rec)
	}, nil)
	c.trailer.Streams[stream] = end
	return err
}

// recordOf is a message as a backup has it.
func recordOf(m *stored.Message) backup.Record {
	return backup.Record{
		Sequence: m.Sequence, Time: m.Stored, Header: m.Raw.Headers(), Subject: m.Subject, Body: m.Raw.Data(),
	}
}
