package bus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"go.uber.org/zap"

	"pullprint/trigger/durable"
)

// Folders beside the server's own: the files of the streams under a second name while the
// server starts, and the same when they are no longer needed.
const (
	keptFolder = "starting"
	doneFolder = "started"
)

// keptStreams are the files of all streams under a second name each, as hard links. The server
// removes the folder of a stream that it can't recover at its start, with all that is in it,
// whatever the reason: a disk without room for one temporary file is enough. What it removed
// is put back.
//
// The crash order. The links are made before the server starts. They are renamed away, and
// that is synced, once it has all streams and before anything further is stored. So as long
// as they have their first name, nothing was stored that they don't have, and a start that
// finds them puts back what the one before has removed, wherever it died.
type keptStreams struct {
	dir     string   // of the store
	streams []string // folders below keptFolder, as $G/streams/NAME
}

// keepStreams makes the links.
func keepStreams(dir string) (k *keptStreams, err error) {
	k = &keptStreams{dir: dir}
	found, err := filepath.Glob(filepath.Join(dir, liveFolder, "*", "streams", "*"))
	if err != nil {
		return nil, fmt.Errorf("look into %s: %w", dir, err)
	}
	for _, stream := range found {
		name, err := filepath.Rel(filepath.Join(dir, liveFolder), stream)
		if err == nil {
			err = tryWrite(stream)
		}
		if err == nil {
			err = k.link(name)
		}
		if err != nil {
			return nil, errors.Join(err, k.drop())
		}
		k.streams = append(k.streams, name)
	}
	return k, nil
}

// withoutLinks reports whether an error says that files can't have a second name here.
func withoutLinks(err error) bool {
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
// who has to be able to remove them.
func (k *keptStreams) link(stream string) error {
	uid, gid, given := ownerOf(k.dir)
	return filepath.WalkDir(filepath.Join(k.dir, liveFolder, stream), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(filepath.Join(k.dir, liveFolder), path)
		to := filepath.Join(k.dir, keptFolder, rel)
		switch {
		case err != nil:
			return err
		case d.Type().IsRegular():
			return os.Link(path, to)
		case d.IsDir():
			err = os.MkdirAll(to, 0o700)
			if err == nil && given {
				err = os.Lchown(to, uid, gid)
			}
		}
		if mayNotGive(err) && d.IsDir() && isThere(to) {
			return nil
		}
		return err
	})
}

// keep keeps the files of the streams while the server starts. Where files can't have a second
// name it is only tried whether the server could write.
func (b *Bus) keep(dir string) (err error) {
	b.kept, err = keepStreams(dir)
	switch {
	case withoutLinks(err):
		b.log.Warn("the file system of the store has no hard links: a stream that the server can't read at its start is not kept",
			zap.Error(err))
		return nil
	case err != nil:
		return fmt.Errorf("the store can't be written to, and nothing of it was changed; make room on its disk, or look at its "+
			"rights: %w", err)
	}
	return nil
}

// checkRecovered says which streams the server could not recover.
func (b *Bus) checkRecovered(ctx context.Context) error {
	if b.kept == nil || len(b.kept.streams) == 0 || b.unchecked { // whoever accepts a loss is told by the mark
		return nil
	}
	have := map[string]bool{}
	list := b.js.StreamNames(ctx)
	for name := range list.Name() {
		have[name] = true
	}
	if err := list.Err(); err != nil {
		return fmt.Errorf("list streams: %w", err)
	}
	var missing []string
	for _, stream := range b.kept.streams {
		if name := filepath.Base(stream); !have[name] && holdsMessages(filepath.Join(b.kept.dir, keptFolder, stream)) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	err := fmt.Errorf("the server can't read %s, and the log says why; the files stay as they were: look at the disk and its "+
		"rights and start again, or `pullprint restore FILE` from a backup, or go on without by `pullprint accept-loss`",
		strings.Join(missing, ", "))
	if full := b.ProbeDisk(); full != nil {
		err = fmt.Errorf("%w; make room on the disk: %w", err, full)
	}
	return err
}

// holdsMessages is false of a stream that was being made when the process died.
func holdsMessages(stream string) bool {
	files, err := filepath.Glob(filepath.Join(stream, "msgs", "*.blk"))
	return err != nil || slices.ContainsFunc(files, func(file string) bool {
		st, err := os.Stat(file)
		return err != nil || st.Size() > 0
	})
}

// drop removes the links. A start that dies while they go must not take what is left of them
// for all: so they are renamed first.
func (k *keptStreams) drop() error {
	kept, done := filepath.Join(k.dir, keptFolder), filepath.Join(k.dir, doneFolder)
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

// putBack puts back what a server has removed that did not come to its end of the start, and
// has ended.
func (k *keptStreams) putBack() error {
	kept := filepath.Join(k.dir, keptFolder)
	files, err := filepath.Glob(filepath.Join(kept, "*", "streams", "*", "msgs", "*.blk"))
	for _, file := range files {
		stream, rerr := filepath.Rel(kept, filepath.Dir(filepath.Dir(file)))
		live := filepath.Join(k.dir, liveFolder, stream)
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
	return k.drop()
}
