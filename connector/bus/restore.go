package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"pullprint/connector/bus/backup"
	"pullprint/connector/bus/disk"
	"pullprint/connector/bus/schema"
	"pullprint/connector/terminal"

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

	// settleWithin is how long the replicas of a new stream may take to catch up.
	settleWithin = time.Minute
	// settleRetry is how often they are read meanwhile: each try reads all of the stream.
	settleRetry = 250 * time.Millisecond
)

// RestoreOptions say how a backup is restored.
type RestoreOptions struct {
	Options
	// Replace lets what is there be replaced.
	Replace bool
	// verbatim restores a copy of a store that nobody has used since: nothing was revoked meanwhile.
	verbatim bool
}

// Restored is what was done.
type Restored struct {
	backup.Contents
	// Replaced is where the embedded store of before is kept, empty when there was none.
	Replaced string `json:"replaced,omitempty"`
	// RenewedLinks are the devices whose links were renewed since the backup: those are kept, as far as
	// they could be read in the store that was replaced.
	RenewedLinks []string `json:"renewed_links,omitempty"`
}

// Restore puts a backup where the configuration keeps its state, with the
// sequences, times and revisions it had, and reads all of it back: what it returns
// was counted and hashed on both sides, message by message. What would have
// expired by now is left out, and leases too. No daemon may be using the store.
//
// Nor does what may have ended or been used since come back: see schema.EndedByRestore.
// The links of devices that were renewed since are kept where the store that is
// replaced can still be read.
//
// An embedded store is made in a folder beside and takes the place of the old one
// only when it is complete and checked; the old one is kept. The streams of an external
// server are restored one after the other, and carry a mark until all are checked:
// interrupted, no daemon works with them, and Restore goes on where it stopped. An external server does not remember the message
// ids of before until it starts anew: what is published twice then is told apart by
// whoever reads it, as ever.
func Restore(
	ctx context.Context, cfg Config, src io.ReaderAt, size int64, o RestoreOptions,
) (Restored, error) {
	f, err := backup.Open(src, size)
	if err != nil {
		return Restored{}, err
	}
	if f.Header.Format > stateFormat && f.Header.Readable > stateFormat {
		return Restored{}, fmt.Errorf("%w: the backup is of format %d and this program knows %d", ErrFormat,
			f.Header.Format, stateFormat)
	}
	if !o.verbatim {
		f.LeaveOut = schema.EndedByRestore
	}
	if cfg.Embedded != nil {
		return restoreEmbedded(ctx, cfg, f, o)
	}
	return restoreExternal(ctx, cfg, f, o)
}

func restoreExternal(ctx context.Context, cfg Config, f *backup.File, o RestoreOptions) (Restored, error) {
	b, err := attach(ctx, cfg, o.Options)
	if err != nil {
		return Restored{}, err
	}
	defer func() { _ = b.Close() }()
	if err := b.inUse(ctx); err != nil {
		return Restored{}, err
	}
	if err := b.makeRoom(ctx, o.Replace); err != nil {
		return Restored{}, err
	}
	var links []disk.Message
	if !o.verbatim {
		if links, err = b.links(ctx); err != nil {
			return Restored{}, fmt.Errorf("look for renewed links of devices, nothing was changed: %w", err)
		}
	}
	c, err := b.restoreAll(ctx, f, links, map[string]string{restoring: f.Header.Created.Format(time.RFC3339Nano)})
	if err != nil {
		return c, err
	}
	for _, p := range schema.Streams(1) {
		s, err := b.link.JS.Stream(ctx, p.Config.Name)
		if err != nil {
			return c, fmt.Errorf("read stream %s: %w", p.Config.Name, err)
		}
		done := s.CachedInfo().Config
		delete(done.Metadata, restoring)
		if _, err := b.link.JS.UpdateStream(ctx, done); err != nil {
			return c, fmt.Errorf("finish stream %s: %w", p.Config.Name, err)
		}
	}
	return c, b.Close()
}

// makeRoom refuses streams that hold something, unless they come from a restore
// that was interrupted, or may be replaced.
func (b *Bus) makeRoom(ctx context.Context, replace bool) error {
	for _, p := range schema.Streams(1) {
		s, err := b.link.JS.Stream(ctx, p.Config.Name)
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
// that has what it should have already, from a try before, stays. links are those of the
// store of before.
func (b *Bus) restoreAll(
	ctx context.Context, f *backup.File, links []disk.Message, metadata map[string]string,
) (Restored, error) {
	c := Restored{Contents: backup.Contents{Created: f.Header.Created}}
	for _, p := range b.cfg.wanted() {
		p.Config.Metadata = metadata
		name := p.Config.Name
		there, err := b.link.JS.Stream(ctx, name)
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
			if err := b.link.JS.DeleteStream(ctx, name); err != nil {
				return c, fmt.Errorf("remove stream %s: %w", name, err)
			}
		}
		if err := backup.RestoreStream(ctx, b.link.NC, f, p.Config); err != nil {
			return c, fmt.Errorf("restore stream %s: %w", name, err)
		}
		got, err := b.compareCaughtUp(ctx, f, p.Config)
		if err != nil {
			return c, err
		}
		c.Streams = append(c.Streams, got)
	}
	var err error
	c.RenewedLinks, err = b.keepLinks(ctx, links)
	return c, err
}

// compareCaughtUp is compare, once the replicas of a new stream have caught up with
// its leader: any of them may be read from.
func (b *Bus) compareCaughtUp(
	ctx context.Context, f *backup.File, cfg jetstream.StreamConfig,
) (backup.StreamContents, error) {
	for began := time.Now(); ; b.link.Pause(ctx, settleRetry) {
		got, err := b.compare(ctx, f, cfg)
		if err == nil || cfg.Replicas < 2 || ctx.Err() != nil || time.Since(began) > settleWithin {
			return got, err
		}
	}
}
