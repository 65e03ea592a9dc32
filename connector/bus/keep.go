package bus

import (
	"context"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"pullprint/connector/bus/disk"
)

// keep keeps the files of the streams while the server starts. Where files can't have a second
// name it is only tried whether the server could write.
func (b *Bus) keep(dir string) (err error) {
	b.kept, err = disk.Keep(dir, b.cfg.Embedded.markFile())
	switch {
	case disk.WithoutLinks(err):
		b.log.Warn("the file system of the store has no hard links: "+
			"a stream that the server can't read at its start is not kept", zap.Error(err))
		return nil
	case err != nil:
		return fmt.Errorf("the store can't be written to, and nothing of it was changed; make room on its disk, or look at its "+
			"rights: %w", err)
	}
	return nil
}

// checkRecovered says which streams the server could not recover.
func (b *Bus) checkRecovered(ctx context.Context) error {
	if b.kept == nil || b.unchecked { // whoever accepts a loss is told by the mark
		return nil
	}
	have := map[string]bool{}
	list := b.link.JS.StreamNames(ctx)
	for name := range list.Name() {
		have[name] = true
	}
	if err := list.Err(); err != nil {
		return fmt.Errorf("list streams: %w", err)
	}
	missing := b.kept.Lost(have)
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
