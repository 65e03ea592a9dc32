package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"pullprint/connector/bus/disk"
	"pullprint/connector/bus/schema"

	"github.com/nats-io/nats.go/jetstream"
)

// gone are the streams and buckets that an external server has lost although it has our
// state, and whether it holds nothing of ours that matters. An external store has no mark
// beside it: what is left of it says that there was more. It looks twice, because
// another replica may be making them for the first time.
func (b *Bus) gone(ctx context.Context) (lost []disk.Loss, empty bool, err error) {
	missing, has, used := []string(nil), false, false
	for range 2 {
		if missing, has, used, err = b.missing(ctx); err != nil || len(missing) == 0 || !used {
			return nil, !has, err
		}
	}
	for _, name := range missing {
		lost = append(lost, disk.Loss{Stream: name, Damage: "it was removed"})
	}
	return lost, false, nil
}

// missing are the streams that can't be made again without harm and are not there; has says
// that any of them is there, used that something was ever stored in one. A start that died while
// it made them leaves some with nothing in
// them, and a restore that died is told of elsewhere.
func (b *Bus) missing(ctx context.Context) (missing []string, has, used bool, err error) {
	for _, p := range schema.Streams(1) {
		s, err := b.link.JS.Stream(ctx, p.Config.Name)
		gone := errors.Is(err, jetstream.ErrStreamNotFound)
		switch {
		case err != nil && !gone:
			return nil, false, false, fmt.Errorf("read stream %s: %w", p.Config.Name, err)
		case !gone && s.CachedInfo().Config.Metadata[restoring] != "":
			return nil, true, false, nil
		}
		switch {
		case remade(p.Config.Name):
		case gone:
			missing = append(missing, p.Config.Name)
		default:
			has = true
			used = used || s.CachedInfo().State.LastSeq > 0
		}
	}
	return missing, has, used, nil
}

// checkExternal refuses an external store that has lost a part, and says loudly when it
// is empty.
func (b *Bus) checkExternal(ctx context.Context) error {
	lost, empty, err := b.gone(ctx)
	if err != nil {
		return err
	}
	if empty && !b.saidEmpty {
		b.saidEmpty = true
		b.log.Warn("the NATS server has no streams of pullprint: all are created, without badges and accounts")
	}
	if len(lost) == 0 || b.unchecked {
		return nil
	}
	names := make([]string, len(lost))
	for i, l := range lost {
		names[i] = l.Stream
	}
	return fmt.Errorf("%w: %s on the NATS server; `pullprint restore FILE` from a backup, or go on without by "+
		"`pullprint accept-loss`", disk.ErrLost, strings.Join(names, ", "))
}
