package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"pullprint/connector/bus/schema"
	"pullprint/connector/bus/stored"
	"pullprint/connector/bus/write"
	"pullprint/connector/store"

	"github.com/nats-io/nats.go/jetstream"
)

var streamOf = map[store.Kind]string{
	store.Decisions: schema.Decisions, store.Audit: schema.Audit, store.Ledger: schema.Ledger, store.Dead: schema.Dead,
	store.Notices: schema.Notices, store.Badges: "KV_" + schema.BadgesBucket,
}

// of is a message as a record of a kind.
func of(kind store.Kind, m *stored.Message) store.Record {
	r := store.Record{Sequence: m.Sequence, Subject: m.Subject, Stored: m.Stored, Body: m.Body}
	if kind == store.Badges {
		r.Subject = strings.TrimPrefix(r.Subject, "$KV."+schema.BadgesBucket+".")
	}
	return r
}

// Scan calls fn with every record of a kind, oldest first.
func (b *Bus) Scan(ctx context.Context, kind store.Kind, fn func(store.Record) error) error {
	r := stored.Reader{Link: b.link, Stream: streamOf[kind]}
	return r.Read(ctx, func(m stored.Message) error {
		return fn(of(kind, &m))
	}, nil)
}

// Follow calls fn with the records of a kind that come after a sequence, oldest first, until ctx
// ends, and returns its error. When after is 0 it begins with those stored since a time. When the
// stream ends before that sequence, it is another: then fn is called with all of it. An error of fn
// ends it and is returned.
func (b *Bus) Follow(
	ctx context.Context, kind store.Kind, after uint64, since time.Time, fn func(store.Record) error,
) error {
	r := stored.Reader{Link: b.link, Stream: streamOf[kind], Last: after, Follow: true}
	if after == 0 {
		r.Since = since
	}
	for {
		err := r.Read(ctx, func(m stored.Message) error {
			return fn(of(kind, &m))
		}, nil)
		if !errors.Is(err, stored.ErrRolledBack) {
			return err
		}
		r = stored.Reader{Link: b.link, Stream: r.Stream, Follow: true}
	}
}

// Rewrite stores a record again under another message id, in the place of one that
// is to be removed.
func (b *Bus) Rewrite(ctx context.Context, kind store.Kind, r store.Record, msgID string) error {
	_, err := b.publish(ctx, streamOf[kind], r.Subject, msgID, r.Body)
	return err
}

// Remove takes records out for good: where they were on disk is written over. The
// holes that they leave are noted in the mark before, so that they are not taken
// for a loss.
func (b *Bus) Remove(ctx context.Context, kind store.Kind, sequences []uint64) error {
	if len(sequences) == 0 {
		return nil
	}
	name := streamOf[kind]
	if b.marks != nil {
		if err := b.marks.Erasing(name, len(sequences)); err != nil {
			return err
		}
	}
	s, err := b.link.JS.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	removals := b.link.Removals(name)
	defer removals.Add(1)
	for _, seq := range sequences {
		removals.Add(1)
		err := removeOne(ctx, s, seq)
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("remove message %d of %s: no answer; the NATS account may have no right to "+
				"$JS.API.STREAM.MSG.DELETE.%s: do it with --direct and an account that has: %w", seq, name, name, err)
		}
		if err != nil && !isGone(ctx, s, seq) {
			return fmt.Errorf("remove message %d of %s: %w", seq, name, err)
		}
	}
	return nil
}

func removeOne(ctx context.Context, s jetstream.Stream, sequence uint64) error {
	ctx, cancel := context.WithTimeout(ctx, write.Limit)
	defer cancel()
	return s.SecureDeleteMsg(ctx, sequence)
}

// isGone reports whether a message is not there, as one whose time has ended or that another
// has removed: the server says of no removal that failed why it did.
func isGone(ctx context.Context, s jetstream.Stream, sequence uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, write.Limit)
	defer cancel()
	_, err := s.GetMsg(ctx, sequence)
	return errors.Is(err, jetstream.ErrMsgNotFound)
}

// Compact writes an embedded store anew, by a backup and a restore of it, and
// removes the old files: what was deleted is not in any file afterwards. No daemon
// may be using it.
func Compact(ctx context.Context, cfg Config, o Options) error {
	if cfg.Embedded == nil {
		return errors.New("an external server compacts its files itself")
	}
	var replaced string
	err := throughFile(cfg.Embedded.StoreDir, "compacting-*", func(file *os.File) error {
		return Backup(ctx, cfg, o, file)
	}, func(file *os.File, size int64) error {
		c, err := Restore(ctx, cfg, file, size, RestoreOptions{Options: o, Replace: true, verbatim: true})
		replaced = c.Replaced
		return err
	})
	if err != nil {
		return err
	}
	if err := os.RemoveAll(replaced); err != nil {
		return fmt.Errorf("remove the old files: %w", err)
	}
	return nil
}
