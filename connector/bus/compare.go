package bus

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"

	"pullprint/connector/bus/backup"
	"pullprint/connector/bus/stored"

	"github.com/nats-io/nats.go/jetstream"
)

// compare reads a restored stream and compares it, message by message, with the
// backup it was made from. What is missing must have expired by now. It returns
// what both have.
func (b *Bus) compare(
	ctx context.Context, f *backup.File, cfg jetstream.StreamConfig,
) (backup.StreamContents, error) {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("stream %s does not have what the backup has: "+format, append([]any{cfg.Name}, args...)...)
	}
	next, stop := iter.Pull2(f.All(cfg.Name))
	defer stop()
	t := backup.NewTally(cfg.Name)
	want, werr, more := next()
	r := stored.Reader{Link: b.link, Stream: cfg.Name}
	err := r.Read(ctx, func(m stored.Message) error {
		for ; more && werr == nil && want.Sequence < m.Sequence; want, werr, more = next() {
			if !backup.Expired(want, cfg.MaxAge, time.Now()) {
				return wrong("message %d is missing", want.Sequence)
			}
			t.Expired++
		}
		if werr != nil {
			return werr
		}
		got := recordOf(&m)
		if !more || want.Sequence != got.Sequence {
			if m.Absent && m.Sequence > f.Trailer.Streams[cfg.Name].Last {
				return nil // a key that has expired since
			}
			return wrong("message %d is not in it", got.Sequence)
		}
		if !bytes.Equal(want.Encode(nil), got.Encode(nil)) {
			return wrong("message %d is another", got.Sequence)
		}
		t.Add(&got)
		want, werr, more = next()
		return nil
	}, nil)
	for ; err == nil && more && werr == nil; want, werr, more = next() {
		if !backup.Expired(want, cfg.MaxAge, time.Now()) {
			return t.Contents(), wrong("message %d is missing", want.Sequence)
		}
		t.Expired++
	}
	if err == nil {
		err = werr
	}
	return t.Contents(), err
}
