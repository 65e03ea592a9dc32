package disk

import (
	"bytes"
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
	// keptMark is the mark as it was when the links were made, in keptFolder.
	keptMark = "mark"
)

// Kept are the files of all streams under a second name each, as hard links. The server
// removes the folder of a stream that it can't recover at its start, with all that is in it,
// whatever the reason: a disk without room for one temporary file is enough. What it removed
// is put back.
//
// Crash safety: the links are made before the server starts. They are renamed away, and
// that is synced, once it has all streams and before anything further is stored. So as long
// as they have their first name, nothing was stored that they don't have, and a start that
// finds them puts back what the one before has removed, wherever it died. Unless the mark is
// another by then: a version that does not know of the links has used the store since, and what
// it removed is not put back.
type Kept struct {
	Dir     string   // of the store
	streams []string // folders below keptFolder, as $G/streams/NAME
}

// Keep makes the links; mark is the file of the mark. The error is one of WithoutLinks where there
// can be none.
func Keep(dir, mark string) (k *Kept, err error) {
	k = &Kept{Dir: dir}
	if err := k.stamp(mark); err != nil {
		return nil, errors.Join(err, k.Drop())
	}
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
	if _, linking := errors.AsType[*os.LinkError](err); !linking {
		return false
	}
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EMLINK) ||
		errors.Is(err, syscall.EXDEV)
}

// stamp copies the mark beside the links. Without a mark the copy is empty.
func (k *Kept) stamp(mark string) error {
	src, err := os.ReadFile(mark)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	folder := filepath.Join(k.Dir, keptFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, keptMark), src, 0o600) //nolint:gosec // a name of ours in the store's own folder
}

// usedSince reports whether the mark is another than when the links were made.
func (k *Kept) usedSince(mark string) bool {
	before, err := os.ReadFile(filepath.Join(k.Dir, keptFolder, keptMark))
	if err != nil { // the process died while it made the links: nothing was removed yet
		return false
	}
	now, err := os.ReadFile(mark)
	return err == nil && !bytes.Equal(before, now)
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

// PutBack puts back what a server of an earlier process has removed that did not come to its end of
// the start. mark is the file of the mark.
func PutBack(dir, mark string) error {
	k := &Kept{Dir: dir}
	if k.usedSince(mark) {
		return k.Drop()
	}
	return k.PutBack()
}

// PutBack puts back what the server of this process has removed, which has ended.
func (k *Kept) PutBack() error {
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
