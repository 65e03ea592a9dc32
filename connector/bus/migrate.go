package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"pullprint/connector/bus/backup"
	"pullprint/connector/bus/disk"
)

// Migrate copies all state from one configuration's store to another's, by a backup
// in a temporary file and a restore of it, and returns what both have. No daemon may
// be using either. The source stays as it is: nothing keeps a daemon from being
// started on it later, which would be a second one. Interrupted, it is run again.
func Migrate(ctx context.Context, from, to Config, o RestoreOptions) (backup.Contents, error) {
	if same(from, to) {
		return backup.Contents{}, errors.New("both configurations name the same store")
	}
	o.verbatim = true
	var c Restored
	err := throughFile("", "pullprint-migrate-*", func(file *os.File) error {
		if err := backupUnused(ctx, from, o.Options, file); err != nil {
			return fmt.Errorf("from: %w", err)
		}
		return nil
	}, func(file *os.File, size int64) (err error) {
		if c, err = Restore(ctx, to, file, size, o); err != nil {
			return fmt.Errorf("to: %w", err)
		}
		return nil
	})
	return c.Contents, err
}

// throughFile writes a backup to a temporary file, and reads it.
func throughFile(dir, pattern string, write func(*os.File) error, read func(*os.File, int64) error) error {
	file, err := disk.Nameless(dir, pattern)
	if err != nil {
		return fmt.Errorf("make a temporary file: %w", err)
	}
	defer file.Close()
	if err := write(file); err != nil {
		return err
	}
	st, err := file.Stat()
	if err != nil {
		return fmt.Errorf("read the temporary file: %w", err)
	}
	return read(file, st.Size())
}

// same compares what names a store.
func same(a, b Config) bool {
	if a.Embedded == nil || b.Embedded == nil {
		return a.Embedded == nil && b.Embedded == nil && a.URL == b.URL && a.CredentialsFile == b.CredentialsFile
	}
	return filepath.Clean(a.Embedded.StoreDir) == filepath.Clean(b.Embedded.StoreDir)
}

// backupUnused is Backup of a store that nobody uses, before and after: else the
// copy would be of the past. One that has lost something is not carried on.
func backupUnused(ctx context.Context, cfg Config, o Options, file *os.File) error {
	if err := mustExist(cfg); err != nil {
		return err
	}
	return attached(ctx, cfg, o, func(b *Bus) error {
		if cfg.Embedded != nil {
			if err := b.checkMark(ctx); err != nil {
				return err
			}
		}
		if err := b.inUse(ctx); err != nil {
			return err
		}
		if _, err := b.Backup(ctx, file); err != nil {
			return err
		}
		return b.inUse(ctx)
	})
}
