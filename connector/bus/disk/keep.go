package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"pullprint/trigger/durable"
)

// Folders beside the server's own: the files of the streams under a second name while the
// server starts, and the same when they are no longer needed.
const (
	keptFolder = "starting"
	doneFolder = "started"
)

// Kept are the files of all streams under a second name each, as hard links. The server
// removes the folder of a stream that it can't recover at its start, with all that is in it,
// whatever the reason: a disk without room for one temporary file is enough. What it removed
// is put back.
//
// Crash safety: the links are made before the server starts. They are renamed away, and
// that is synced, once it has all streams and before anything further is stored. So as long
// as they have their first name, nothing was stored that they don't have, and a start that
// finds them puts back what the one before has removed, wherever it died.
type Kept struct {
	Dir     string   // of the store
	streams []string // folders below keptFolder, as $G/streams/NAME
}

// Keep makes the links. The error is one of WithoutLinks where there can be none.
func Keep(dir string) (k *Kept, err error) {
	k = &Kept{Dir: dir}
	found, err := filepath.Glob(filepath.Join(dir, LiveFolder, "*", "streams", "*"))
	if err != nil {
		return nil, fmt.Errorf("look into %s: %w", dir, err)
	}
	for _, stream := range found {
		name, err := filepath.Rel(filepath.Join(dir, LiveFolder), stream)
		if err == nil {
			err = tryWrite(stream)
		}
		if err == nil {
			err = k.link(name)
		}
		if err != nil {
			return nil, errors.Join(err, k.Drop())
		}
		k.streams = append(k.streams, name)
	}
	return k, nil
}

// WithoutLinks reports whether an error says that files can't have a second name here.
func WithoutLinks(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EMLINK) ||
		errors.Is(err, syscall.EXDEV)
}

// tryWrite does what the server does first to the folder of a stream.
func tryWrite(dir string) error {
	f, err := os.CreateTemp(dir, "_test_")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// link gives every file of a stream a second name. Its folders belong to the owner of the store,
// who has to be able to remove them. It follows no link, as handOver.
func (k *Kept) link(stream string) error {
	uid, gid, given := ownerOf(k.Dir)
	root, err := os.OpenRoot(k.Dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return fs.WalkDir(root.FS(), path.Join(LiveFolder, filepath.ToSlash(stream)), func(name string, d fs.DirEntry, err error) error {
		to := path.Join(keptFolder, strings.TrimPrefix(name, LiveFolder))
		switch {
		case err != nil:
			return err
		case d.Type().IsRegular():
			return root.Link(name, to)
		case !d.IsDir():
			return nil
		}
		if err := root.MkdirAll(to, 0o700); err != nil || !given {
			return err
		}
		if err := root.Lchown(to, uid, gid); !mayNotGive(err) {
			return err
		}
		return nil
	})
}

// Lost returns the streams with messages that are not among those that the server has.
func (k *Kept) Lost(have map[string]bool) (names []string) {
	for _, stream := range k.streams {
		if name := filepath.Base(stream); !have[name] && holdsMessages(filepath.Join(k.Dir, keptFolder, stream)) {
			names = append(names, name)
		}
	}
	return names
}

// holdsMessages is false of a stream that was being made when the process died.
func holdsMessages(stream string) bool {
	files, err := filepath.Glob(filepath.Join(stream, "msgs", "*.blk"))
	return err != nil || slices.ContainsFunc(files, func(file string) bool {
		st, err := os.Stat(file)
		return err != nil || st.Size() > 0
	})
}

// Drop removes the links. A start that dies while they go must not take what is left of them
// for all: so they are renamed first.
func (k *Kept) Drop() error {
	kept, done := filepath.Join(k.Dir, keptFolder), filepath.Join(k.Dir, doneFolder)
	err := os.RemoveAll(done)
	if err == nil && isThere(kept) {
		err = durable.Rename(kept, done)
	}
	if err != nil {
		return fmt.Errorf("end the start of the store: %w", err)
	}
	_ = os.RemoveAll(done) // else the next start does
	return nil
}

// PutBack puts back what a server has removed that did not come to its end of the start, and
// has ended.
func PutBack(dir string) error {
	k := &Kept{Dir: dir}
	kept := filepath.Join(k.Dir, keptFolder)
	files, err := filepath.Glob(filepath.Join(kept, "*", "streams", "*", "msgs", "*.blk"))
	for _, file := range files {
		stream, rerr := filepath.Rel(kept, filepath.Dir(filepath.Dir(file)))
		live := filepath.Join(k.Dir, LiveFolder, stream)
		if err != nil || rerr != nil || isThere(filepath.Join(live, "msgs", filepath.Base(file))) || !isThere(file) {
			err = errors.Join(err, rerr)
			continue
		}
		if err = errors.Join(os.RemoveAll(live), os.MkdirAll(filepath.Dir(live), 0o700)); err == nil {
			err = durable.Rename(filepath.Join(kept, stream), live)
		}
	}
	if err != nil {
		return fmt.Errorf("put back what the server has removed: %w; the next start tries it again", err)
	}
	return k.Drop()
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
