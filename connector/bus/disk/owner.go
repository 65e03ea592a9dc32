package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Root makes backups, restores them and asks about people, and then a service that is not root
// goes on with the store: so what root makes in it belongs to the owner of its folder.

// StoreLock is the lock of a store directory.
type StoreLock struct {
	*os.File
	dir string
}

// Close gives what root has made to the owner of the directory, and gives the lock up.
func (l *StoreLock) Close() error {
	return errors.Join(handOver(l.dir), l.File.Close())
}

// ownerOf is whose a file is; ok is false when it is root's, or when we are not root and can't
// give anything away.
func ownerOf(path string) (uid, gid int, ok bool) {
	st, err := os.Lstat(path)
	if err != nil || os.Geteuid() != 0 {
		return 0, 0, false
	}
	s, ok := st.Sys().(*syscall.Stat_t)
	if !ok || s.Uid == 0 {
		return 0, 0, false
	}
	return int(s.Uid), int(s.Gid), true
}

// mayNotGive reports whether an error of chown says that a file can't be given to that owner here,
// so that root keeps it: root has no right to in a container, the owner has no number in our user
// namespace, or the file system knows no owners.
func mayNotGive(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported)
}

// ofFolder gives a file to the owner of its folder.
func ofFolder(f *os.File) error {
	uid, gid, ok := ownerOf(filepath.Dir(f.Name()))
	if !ok {
		return nil
	}
	if err := f.Chown(uid, gid); err != nil && !mayNotGive(err) {
		return err
	}
	return nil
}

// makeStore makes a store directory. What root makes of the path belongs to the owner of the
// folder above.
func makeStore(dir string) error {
	var missing []string
	above := dir
	for {
		if _, err := os.Lstat(above); !errors.Is(err, fs.ErrNotExist) || above == filepath.Dir(above) {
			break
		}
		missing = append(missing, above)
		above = filepath.Dir(above)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	uid, gid, ok := ownerOf(above)
	if !ok {
		return nil
	}
	for _, path := range missing {
		if err := os.Lchown(path, uid, gid); err != nil && !mayNotGive(err) {
			return err
		}
	}
	return nil
}

// handOver gives what root has below dir to the owner of dir. It follows no link, and leaves
// alone what has a second name, because the owner of dir may have put there what is not
// theirs. A root that may give nothing away, as in a container, keeps it.
func handOver(dir string) error {
	uid, gid, ok := ownerOf(dir)
	if !ok {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("hand the store over to its owner: %w", err)
	}
	defer func() { _ = root.Close() }()
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return err
		}
		info, err := root.Lstat(path)
		if err != nil {
			return err
		}
		s, known := info.Sys().(*syscall.Stat_t)
		if !known || s.Uid != 0 || !info.IsDir() && s.Nlink > 1 {
			return nil
		}
		return root.Lchown(path, uid, gid)
	})
	if err != nil && !mayNotGive(err) {
		return fmt.Errorf("hand the store over to its owner: %w", err)
	}
	return nil
}
