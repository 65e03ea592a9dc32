package bus

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// compare reads a restored stream and compares it, message by message, with the
// backup it was made from. What is missing must have expired by now. It returns
// what both have.
func (b *Bus) compare(ctx context.Context, f *backupFile, cfg jetstream.StreamConfig) (StreamContents, error) {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("stream %s does not have what the backup has: "+format, append([]any{cfg.Name}, args...)...)
	}
	next, stop := iter.Pull2(f.all(cfg.Name))
	defer stop()
	t := newTally(cfg.Name)
	want, werr, more := next()
	r := reader{bus: b, stream: cfg.Name}
	err := r.read(ctx, func(m message) error {
		for ; more && werr == nil && want.seq < m.sequence; want, werr, more = next() {
			if !expired(want, cfg.MaxAge, time.Now()) {
				return wrong("message %d is missing", want.seq)
			}
			t.Expired++
		}
		if werr != nil {
			return werr
		}
		got := record{seq: m.sequence, time: m.stored, header: m.raw.Headers(), subj: m.subject, body: m.raw.Data()}
		if !more || want.seq != got.seq {
			if m.absent && m.sequence > f.trailer.Streams[cfg.Name].Last {
				return nil // a key that has expired since
			}
			return wrong("message %d is not in it", got.seq)
		}
		if !bytes.Equal(want.encode(nil), got.encode(nil)) {
			return wrong("message %d is another", got.seq)
		}
		t.add(&got)
		want, werr, more = next()
		return nil
	}, nil)
	for ; err == nil && more && werr == nil; want, werr, more = next() {
		if !expired(want, cfg.MaxAge, time.Now()) {
			return t.contents(), wrong("message %d is missing", want.seq)
		}
		t.Expired++
	}
	if err == nil {
		err = werr
	}
	return t.contents(), err
}

// all are the messages of each.
func (f *backupFile) all(stream string) iter.Seq2[*record, error] {
	return func(yield func(*record, error) bool) {
		err := f.each(stream, func(m *record) error {
			if !yield(m, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop { //nolint:errorlint // our own
			yield(nil, err)
		}
	}
}

var errStop = fmt.Errorf("enough")

// expired reports whether a message would be gone by now: a second is left for the
// server's clockwork.
func expired(m *record, age time.Duration, now time.Time) bool {
	ttl, _ := time.ParseDuration(m.header.Get(headerTTL) + "s")
	if d, err := time.ParseDuration(m.header.Get(headerTTL)); err == nil {
		ttl = d
	}
	for _, life := range []time.Duration{age, ttl} {
		if life > 0 && now.Add(time.Second).After(m.time.Add(life)) {
			return true
		}
	}
	return false
}
