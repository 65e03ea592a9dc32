package bus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"pullprint/connector/bus/backup"
	"pullprint/connector/bus/schema"
	"pullprint/trigger/durable"
)

// The folders in nats.embedded.store_dir: the server's own, one that is being
// restored, and those that were replaced.
const (
	liveFolder     = "jetstream"
	newFolder      = "restoring"
	replacedFolder = "replaced-"
)

// restoreEmbedded makes a new store in a folder of its own within the store
// directory, checks it, and puts it in the place of the old one.
//
// The crash order: the new store is written and synced; the old one is renamed
// away; the new one is renamed to its place; the mark becomes that of the new one.
// Dying before the first rename leaves the old store as it was; dying after it
// leaves a mark that no store there reaches, so that the next start is refused and
// the restore has to be done again. Nothing is removed.
func restoreEmbedded(
	ctx context.Context, cfg Config, f *backup.File, o RestoreOptions,
) (c backup.Contents, replaced string, err error) {
	dir, err := filepath.Abs(cfg.Embedded.StoreDir)
	if err != nil {
		return c, "", fmt.Errorf("nats.embedded.store_dir: %w", err)
	}
	lock, err := lockStore(dir)
	if err != nil {
		return c, "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	live := filepath.Join(dir, liveFolder)
	used, err := holdsStreams(live)
	if err != nil {
		return c, "", err
	}
	if used && !o.Replace {
		return c, "", fmt.Errorf("%w: %s; nothing was changed: give --replace to put the backup in its place (it is kept "+
			"beside)", ErrNotEmpty, dir)
	}
	fresh := filepath.Join(dir, newFolder)
	if err := os.RemoveAll(fresh); err != nil { // of a try that was interrupted
		return c, "", fmt.Errorf("restore: %w", err)
	}
	c, m, err := buildStore(ctx, cfg, fresh, f, o.Options)
	if err != nil {
		return c, "", errors.Join(err, os.RemoveAll(fresh))
	}
	if err := syncTree(fresh); err != nil {
		return c, "", fmt.Errorf("restore: %w", err)
	}
	if _, err := os.Stat(live); err == nil {
		replaced = filepath.Join(dir, replacedFolder+time.Now().UTC().Format("20060102T150405.000Z"))
		if err := os.Rename(live, replaced); err != nil {
			return c, "", fmt.Errorf("restore: %w", err)
		}
	}
	err = durable.Rename(filepath.Join(fresh, liveFolder), live)
	if err != nil {
		return c, replaced, fmt.Errorf("restore: %w", err)
	}
	return c, replaced, errors.Join(m.write(cfg.Embedded.markFile()), os.RemoveAll(fresh))
}

// buildStore restores a backup into a folder, without syncing each write: all of
// it is synced at the end. It returns the mark that the store has then.
func buildStore(ctx context.Context, cfg Config, dir string, f *backup.File, o Options) (backup.Contents, *mark, error) {
	e := *cfg.Embedded
	e.StoreDir = dir
	cfg.Embedded = &e
	b, err := attach(ctx, cfg, Options{Logger: o.Logger, Instance: o.Instance, unsynced: true})
	if err != nil {
		return backup.Contents{}, nil, err
	}
	defer func() { _ = b.Close() }()
	c, err := b.restoreAll(ctx, f, nil)
	if err != nil {
		return c, nil, err
	}
	m := &mark{Streams: map[string]markStream{}}
	for _, p := range schema.Streams(1) {
		st, err := b.positionOf(ctx, p.Config.Name)
		if err != nil {
			return c, nil, err
		}
		m.Streams[p.Config.Name] = markStream{Last: f.Trailer.Streams[p.Config.Name].Last, Created: st.created, Gaps: st.gaps}
	}
	return c, m, b.Close()
}

// holdsStreams reports whether a server's folder has any stream in it.
func holdsStreams(dir string) (bool, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*", "streams", "*"))
	if err != nil {
		return false, fmt.Errorf("look into %s: %w", dir, err)
	}
	return len(found) > 0, nil
}

// syncTree puts everything below a folder on disk.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() && !d.Type().IsRegular() {
			return nil
		}
		return durable.Sync(path)
	})
}
