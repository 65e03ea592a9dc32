package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pullprint/connector/bus/schema"
	"pullprint/connector/bus/stored"
	"pullprint/connector/store"
	"pullprint/trigger/wait"
)

// verifyPasses is how often a bucket is read that others write to meanwhile.
const verifyPasses = 10

// verifyLag is how long a server of a cluster is given to catch up, in each pass: in all as
// long as an election takes at most, about 9 s.
const verifyLag = time.Second

// verify reads through the buckets that nothing can make up for, accounts, badges and
// our own state, and compares what came with what the server says that it holds. Job
// records are read by who needs them, after the start.
func (b *Bus) verify(ctx context.Context) error {
	for _, bucket := range []string{schema.StateBucket, schema.BadgesBucket, schema.QuotaBucket} {
		if err := b.verifyBucket(ctx, "KV_"+bucket); err != nil {
			return err
		}
	}
	return nil
}

// readThrough is one reading of a stream: how many messages came, and what the server said
// that it holds before and after.
type readThrough struct {
	before, after jetstream.StreamState
	read          uint64
}

func (b *Bus) verifyBucket(ctx context.Context, stream string) error {
	return b.verifyReading(ctx, stream, func() (p readThrough, err error) {
		if p.before, err = b.streamState(ctx, stream); err != nil {
			return p, err
		}
		r := stored.Reader{Link: b.link, Stream: stream}
		if err = r.Read(ctx, func(stored.Message) error { p.read++; return nil }, nil); err != nil {
			return p, fmt.Errorf("read through %s: %w", stream, err)
		}
		p.after, err = b.streamState(ctx, stream)
		return p, err
	})
}

// verifyReading reads a stream until as much came as the server says that it holds. A server
// of our own is damaged when less came and nobody wrote meanwhile; in a cluster the server that
// reads may only be behind the one that counts.
func (b *Bus) verifyReading(ctx context.Context, stream string, read func() (readThrough, error)) error {
	var p readThrough
	for range verifyPasses {
		var err error
		if p, err = read(); err != nil {
			return err
		}
		if p.read == p.before.Msgs || p.read == p.after.Msgs {
			return nil
		}
		pause := 100 * time.Millisecond
		if p.quiet() {
			if b.cfg.Embedded != nil {
				break
			}
			pause = verifyLag
		}
		if err := wait.Sleep(ctx, pause); err != nil {
			return fmt.Errorf("read through %s: %w", stream, err)
		}
	}
	if !p.quiet() {
		return nil // too busy to be counted; what can't be read would have been told
	}
	return fmt.Errorf("%w: %s gives out %d of the keys that it holds, which are %d; `pullprint restore FILE` from a backup",
		store.ErrDamaged, stream, p.read, p.after.Msgs)
}

// quiet reports whether nobody wrote while it was read.
func (p *readThrough) quiet() bool {
	return p.before.LastSeq == p.after.LastSeq && p.before.Msgs == p.after.Msgs
}

func (b *Bus) streamState(ctx context.Context, stream string) (jetstream.StreamState, error) {
	s, err := b.link.JS.Stream(ctx, stream)
	if err != nil {
		return jetstream.StreamState{}, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return s.CachedInfo().State, nil
}
