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
	"pullprint/policy/badge"
	"pullprint/policy/pin"
)

// maxTold is how many notices a collector knows that it has stored, some 100 bytes each.
const maxTold = 10_000

// collector stores the notices of the records of one stream.
type collector struct {
	*Notifier
	// of are the notices of a record.
	of func(store.Record) []notice.Notice
	// told are the ids of the newest ones that come again and again, so that they are stored once.
	told map[string]bool
}

// collecting is what stores the notices of the records that come. A record has an id that never changes,
// and so have its notices: after a crash they are stored again from the position that is stored, which
// changes nothing.
func (n *Notifier) collecting(of func(store.Record) []notice.Notice) func(context.Context, following) error {
	return func(ctx context.Context, f following) error {
		c := &collector{n, of, map[string]bool{}}
		return c.run(ctx, f)
	}
}

func (n *collector) run(ctx context.Context, f following) error {
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

// collectFrom stores the notices of records. They are written at the same time, so that they share
// one sync to disk, but for those of one person about different things, which stay in order.
func (n *collector) collectFrom(ctx context.Context, batch []store.Record) error {
	var writing errgroup.Group
	about := map[string]string{}
	for _, r := range batch {
		for _, of := range n.of(r) {
			if n.again(&of) {
				continue
			}
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

// again reports whether a notice that is told once a period was stored in this run.
func (n *collector) again(of *notice.Notice) bool {
	if of.Renews.IsZero() {
		return false
	}
	if len(n.told) >= maxTold {
		clear(n.told)
	}
	was := n.told[of.ID]
	n.told[of.ID] = true
	return was
}

// ofDecision are the notices of one decision. One that can't be read causes none, nor one that was
// stored again long after it was made: by then it is not known any more whether it was told.
func (n *Notifier) ofDecision(r store.Record) (list []notice.Notice) {
	var d decision.Decision
	err := recovery.Catch(func() error {
		if err := json.Unmarshal(r.Body, &d); err != nil {
			return err
		}
		list = notice.Of(&d, cmp.Or(n.o.BudgetLow, notice.DefaultLow))
		return nil
	})
	if err != nil {
		n.log.Warn("decision can't be read, nobody is told of it", zap.Uint64("sequence", r.Sequence), zap.Error(err))
		return nil
	}
	if r.Stored.Sub(d.At) > remember {
		return nil
	}
	return list
}

// ofBadge are the notices of what is stored of a badge or a PIN. One that was enrolled or set long before
// is stored again when its key changes, or its end.
func (n *Notifier) ofBadge(r store.Record) []notice.Notice {
	if set, ok := pin.Read(r.Subject, r.Body); ok {
		if told, ok := notice.OfPIN(set); ok && r.Stored.Sub(set.Changed) <= giveUpAfter {
			return []notice.Notice{told}
		}
		return nil
	}
	var b badge.Badge
	if !badge.IsKey(r.Subject) || len(r.Body) == 0 || json.Unmarshal(r.Body, &b) != nil || r.Stored.Sub(b.Enrolled) > giveUpAfter {
		return nil // what is damaged is told elsewhere
	}
	if told, ok := notice.OfBadge(&b); ok {
		return []notice.Notice{told}
	}
	return nil
}
