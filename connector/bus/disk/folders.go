// Package disk knows the files of the embedded store: its folders and lock, the blocks in
// which the server keeps messages, and the high-water mark beside it. It finds what was lost
// or can't be read before the server starts, because the server then cuts it off silently.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"pullprint/trigger/durable"
)

// The folders in nats.embedded.store_dir.
const (
	LiveFolder     = "jetstream" // the server's own
	NewFolder      = "restoring" // one that is being restored
	ReplacedFolder = "replaced-" // begins the name of one that was replaced
)

// HoldsStreams reports whether a server's folder has any stream in it.
func HoldsStreams(dir string) (bool, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*", "streams", "*"))
	if err != nil {
		return false, fmt.Errorf("look into %s: %w", dir, err)
	}
	return len(found) > 0, nil
}

// Sync puts everything below a folder on disk.
func Sync(dir string) error {
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

// Nameless is a new file in a folder that no name leads to: what is in it, which is all
// that is known about people, is gone with the process however that ends.
func Nameless(dir, pattern string) (*os.File, error) {
	file, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
