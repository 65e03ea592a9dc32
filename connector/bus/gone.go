package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// gone are the buckets that an external server has lost although it has our state, and
// whether it holds nothing of ours at all. An external store has no mark beside it: its
// state bucket is what remembers that there was more.
func (b *Bus) gone(ctx context.Context) (lost []Loss, empty bool, err error) {
	has := map[string]bool{}
	for _, p := range schema(1) {
		_, err := b.js.Stream(ctx, p.cfg.Name)
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, false, fmt.Errorf("read stream %s: %w", p.cfg.Name, err)
		}
		has[p.cfg.Name] = err == nil
		empty = empty || err == nil
	}
	empty = !empty
	if !has["KV_"+bucketState] {
		return nil, empty, nil
	}
	if _, revision, err := b.peekFormat(ctx); err != nil || revision == 0 {
		return nil, empty, err // it was never complete
	}
	for _, bucket := range []string{bucketBadges, bucketQuota} {
		if name := "KV_" + bucket; !has[name] {
			lost = append(lost, Loss{Stream: name, Damage: "it was removed"})
		}
	}
	return lost, empty, nil
}

// checkExternal refuses an external store that has lost badges or accounts, and says
// loudly when it is empty.
func (b *Bus) checkExternal(ctx context.Context) error {
	lost, empty, err := b.gone(ctx)
	if err != nil {
		return err
	}
	if empty && !b.saidEmpty {
		b.saidEmpty = true
		b.log.Warn("the NATS server holds nothing of ours: everything is made anew, without badges and accounts")
	}
	if len(lost) == 0 || b.unchecked {
		return nil
	}
	names := make([]string, len(lost))
	for i, l := range lost {
		names[i] = l.Stream
	}
	return fmt.Errorf("%w: %s on the NATS server; `pullprint restore FILE` from a backup, or go on without by "+
		"`pullprint accept-loss`", ErrLost, strings.Join(names, ", "))
}
