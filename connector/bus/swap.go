package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"pullprint/connector/bus/backup"
	"pullprint/connector/bus/disk"
	"pullprint/connector/bus/schema"
	"pullprint/trigger/durable"
)

// restoreEmbedded makes a new store in a folder of its own within the store
// directory, checks it, and puts it in the place of the old one.
//
// Crash safety: the new store is written and synced; the old one is renamed
// away; the new one is renamed to its place; the mark becomes that of the new one.
// If the process dies before the first rename, the old store is as it was. If it
// dies after it, the mark is ahead of every store that is there: the next start is
// refused and the restore has to be done again. Nothing is removed.
func restoreEmbedded(
	ctx context.Context, cfg Config, f *backup.File, o RestoreOptions,
) (c Restored, err error) {
	dir, err := filepath.Abs(cfg.Embedded.StoreDir)
	if err != nil {
		return c, fmt.Errorf("nats.embedded.store_dir: %w", err)
	}
	lock, err := disk.Lock(dir)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	live := filepath.Join(dir, disk.LiveFolder)
	used, err := disk.HoldsStreams(live)
	if err != nil {
		return c, err
	}
	if used && !o.Replace {
		return c, fmt.Errorf("%w: %s; nothing was changed: give --replace to put the backup in its place (it is kept "+
			"beside)", ErrNotEmpty, dir)
	}
	fresh := filepath.Join(dir, disk.NewFolder)
	if err := os.RemoveAll(fresh); err != nil { // of a try that was interrupted
		return c, fmt.Errorf("restore: %w", err)
	}
	c, m, err := buildStore(ctx, cfg, fresh, f, o)
	if err != nil {
		return c, errors.Join(err, os.RemoveAll(fresh))
	}
	if err := disk.Sync(fresh); err != nil {
		return c, fmt.Errorf("restore: %w", err)
	}
	if _, err := os.Stat(live); err == nil {
		replaced := filepath.Join(dir, disk.ReplacedFolder+time.Now().UTC().Format("20060102T150405.000Z"))
		if err := os.Rename(live, replaced); err != nil {
			return c, fmt.Errorf("restore: %w", err)
		}
		c.Replaced = replaced
	}
	err = durable.Rename(filepath.Join(fresh, disk.LiveFolder), live)
	if err != nil {
		return c, fmt.Errorf("restore: %w", err)
	}
	return c, errors.Join(m.Write(cfg.Embedded.markFile()), os.RemoveAll(fresh))
}

// buildStore restores a backup into a folder, without syncing each write: all of
// it is synced at the end. It returns the mark that the store has then.
func buildStore(
	ctx context.Context, cfg Config, dir string, f *backup.File, r RestoreOptions,
) (c Restored, m *disk.Mark, err error) {
	var links []disk.Message
	if !r.verbatim {
		if links, err = linksOf(cfg.Embedded.StoreDir); err != nil {
			return c, nil, err
		}
	}
	e := *cfg.Embedded
	e.StoreDir = dir
	cfg.Embedded = &e
	m = &disk.Mark{Streams: map[string]disk.Position{}}
	o := Options{Logger: r.Logger, Instance: r.Instance, unsynced: true}
	err = attached(ctx, cfg, o, func(b *Bus) (err error) {
		if c, err = b.restoreAll(ctx, f, links, nil); err != nil {
			return err
		}
		for _, p := range schema.Streams(1) {
			st, err := b.positionOf(ctx, p.Config.Name)
			if err != nil {
				return err
			}
			st.last = max(st.last, f.Trailer.Streams[p.Config.Name].Last)
			m.Streams[p.Config.Name] = st.position()
		}
		return nil
	})
	return c, m, err
}
