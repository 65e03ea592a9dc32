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
	file, err := disk.Nameless("", "pullprint-migrate-*")
	if err != nil {
		return backup.Contents{}, fmt.Errorf("make a temporary file: %w", err)
	}
	defer file.Close()
	if err := backupUnused(ctx, from, o.Options, file); err != nil {
		return backup.Contents{}, fmt.Errorf("from: %w", err)
	}
	st, err := file.Stat()
	if err != nil {
		return backup.Contents{}, fmt.Errorf("read the temporary file: %w", err)
	}
	c, _, err := Restore(ctx, to, file, st.Size(), o)
	if err != nil {
		return c, fmt.Errorf("to: %w", err)
	}
	return c, nil
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
	b, err := attach(ctx, cfg, o)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
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
	if err := b.inUse(ctx); err != nil {
		return err
	}
	return b.Close()
}
