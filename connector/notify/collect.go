package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"pullprint/connector/decision"
	"pullprint/connector/notice"
	"pullprint/connector/recovery"
	"pullprint/connector/store"
)

// collect stores the notices of the decisions that come. A decision is in its stream under an id that
// never changes, and so are its notices: after a crash they are stored again from the position that is
// stored, which changes nothing.
func (n *Notifier) collect(ctx context.Context, f following) error {
	for {
		timer := time.NewTimer(f.due(time.Now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case r := <-f.records:
			timer.Stop()
			batch := f.batch(r)
			if err := n.collectFrom(ctx, batch); err != nil {
				return err
			}
			if err := f.move(ctx, batch[len(batch)-1].Sequence, len(batch)); err != nil {
				return err
			}
		case <-timer.C:
			if err := f.save(ctx); err != nil {
				return err
			}
		}
	}
}

// collectFrom stores the notices of decisions. They are written at the same time, so that they share
// one sync to disk, but for those of one person about different things, which stay in order.
func (n *Notifier) collectFrom(ctx context.Context, batch []store.Record) error {
	var writing errgroup.Group
	about := map[string]string{}
	for _, r := range batch {
		for _, of := range n.noticesOf(r) {
			if topic(&of) != cmp.Or(about[of.Owner], topic(&of)) {
				if err := writing.Wait(); err != nil {
					return err
				}
				writing = errgroup.Group{}
				clear(about)
			}
			about[of.Owner] = topic(&of)
			writing.Go(func() error { return recovery.Catch(func() error { return notice.Write(ctx, n.o.Stream, &of) }) })
		}
	}
	return writing.Wait()
}

// noticesOf are the notices of one decision. One that can't be read, or is about another day, causes
// none.
func (n *Notifier) noticesOf(r store.Record) (list []notice.Notice) {
	var d decision.Decision
	err := recovery.Catch(func() error {
		if err := json.Unmarshal(r.Body, &d); err != nil {
			return err
		}
		list = notice.Of(&d)
		return nil
	})
	if err != nil {
		n.log.Warn("decision can't be read, nobody is told of it", zap.Uint64("sequence", r.Sequence), zap.Error(err))
		return nil
	}
	if time.Since(d.At) > giveUpAfter {
		return nil
	}
	return list
}
