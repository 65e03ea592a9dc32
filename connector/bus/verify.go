package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// verifyPasses is how often a bucket is read that others write to meanwhile.
const verifyPasses = 10

// verify reads through the buckets that nothing can make up for, accounts, badges and
// our own state, and compares what came with what the server says that it holds. Job
// records are read by who needs them, after the start.
func (b *Bus) verify(ctx context.Context) error {
	for _, bucket := range []string{bucketState, bucketBadges, bucketQuota} {
		if err := b.verifyBucket(ctx, "KV_"+bucket); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bus) verifyBucket(ctx context.Context, stream string) error {
	var read uint64
	var before, after jetstream.StreamState
	for range verifyPasses {
		var err error
		if before, err = b.streamState(ctx, stream); err != nil {
			return err
		}
		read = 0
		r := reader{bus: b, stream: stream}
		if err = r.read(ctx, func(message) error { read++; return nil }, nil); err != nil {
			return fmt.Errorf("read through %s: %w", stream, err)
		}
		if after, err = b.streamState(ctx, stream); err != nil {
			return err
		}
		if read == before.Msgs || read == after.Msgs {
			return nil
		}
		if before.LastSeq == after.LastSeq && before.Msgs == after.Msgs {
			break // nobody wrote meanwhile
		}
		b.pause(ctx, 100*time.Millisecond)
	}
	if before.LastSeq != after.LastSeq {
		return nil // too busy to be counted; what can't be read would have been told
	}
	return fmt.Errorf("%w: %s gives out %[4]d of the keys that it holds, which are %[3]d; `pullprint restore FILE` from a backup", ErrDamaged,
		stream, after.Msgs, read)
}

func (b *Bus) streamState(ctx context.Context, stream string) (jetstream.StreamState, error) {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return jetstream.StreamState{}, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return s.CachedInfo().State, nil
}
