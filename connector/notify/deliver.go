package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.uber.org/zap"

	"pullprint/connector/notice"
	"pullprint/connector/store"
	"pullprint/trigger/graph"
	"pullprint/trigger/wait"
)

const (
	// maxBoxes is how many people may have messages that wait, in memory and in the state bucket: with
	// the most that each may have about 8 MiB. What comes beyond waits in its stream.
	maxBoxes = 2000
	// sendAtOnce is how many messages are sent at the same time: each has a connection of its own, and
	// mail servers allow one client some ten.
	sendAtOnce = 4
	// sendWithin is how long one message may take, with finding the address: mail servers answer
	// within seconds, and some delay strangers by half a minute.
	sendWithin = 90 * time.Second
)

// downFor are the waits while a channel does not work at all.
var downFor = wait.Backoff{First: 10 * time.Second, Max: 5 * time.Minute}

// loaded is a box with messages that wait, as it is stored.
type loaded struct {
	box
	revision uint64
}

// delivery is one run of deliver. Only one goroutine has it; sending does not touch it.
type delivery struct {
	*Notifier
	boxes map[string]*loaded
	// outages are of the channels, by index.
	outages []outage
}

// deliver takes notices in and sends what is due.
//
// Crash safety, for each notice: it is in its stream (see collect) until the box of its person has
// it, by a compare-and-set; the position is stored after that, and a box knows which notices it has
// had. A message is noted as tried before it is sent, and taken out of the box after that. If the
// process dies between, it is sent again with the same message id and the same text.
func (n *Notifier) deliver(ctx context.Context, f following) error {
	p := &delivery{Notifier: n, boxes: map[string]*loaded{}, outages: make([]outage, len(n.o.Channels))}
	if err := p.load(ctx); err != nil {
		return err
	}
	for {
		records := f.records
		if len(p.boxes) >= maxBoxes {
			records = nil
		}
		now := time.Now()
		timer := time.NewTimer(min(f.due(now), p.nextDue(now)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case r := <-records:
			timer.Stop()
			batch := f.batch(r)
			if err := p.takeIn(ctx, batch); err != nil {
				return err
			}
			if err := f.move(ctx, batch[len(batch)-1].Sequence, len(batch)); err != nil {
				return err
			}
		case <-timer.C:
		}
		if f.due(time.Now()) <= 0 {
			if err := f.save(ctx); err != nil {
				return err
			}
		}
		if err := p.sendDue(ctx); err != nil {
			return err
		}
	}
}

// load reads the boxes with messages that wait.
func (p *delivery) load(ctx context.Context) error {
	err := p.o.State.Each(ctx, Prefix+"*", func(key string, value []byte, revision uint64) error {
		b, err := readBox(key, value)
		if err != nil {
			p.log.Error("notices of a person can't be read, they are left out", zap.String("person", b.Owner), zap.Error(err))
			return nil
		}
		if len(b.Waiting) > 0 {
			p.boxes[b.Owner] = &loaded{b, revision}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the notices that wait: %w", err)
	}
	if len(p.o.Channels) == 0 {
		return p.drop(ctx)
	}
	return nil
}

// drop takes out the messages that wait, since there is no channel any more: sent when there is one
// again, they would be old.
func (p *delivery) drop(ctx context.Context) error {
	for _, b := range p.boxes {
		b.Waiting = nil
		if _, err := p.store(ctx, b); err != nil {
			return err
		}
	}
	clear(p.boxes)
	return nil
}

// nextDue is how long nothing is to be sent.
func (p *delivery) nextDue(now time.Time) time.Duration {
	next := now.Add(idle)
	for _, b := range p.boxes {
		at := b.next(now)
		if _, works := p.choose(&b.Waiting[0], now); works.After(at) {
			at = works
		}
		if at.Before(next) {
			next = at
		}
	}
	return max(0, next.Sub(now))
}

// takeIn puts a batch of notices into the boxes of their people, with one write for each person.
func (p *delivery) takeIn(ctx context.Context, batch []store.Record) error {
	of, order := map[string][]notice.Notice{}, []string{}
	for _, r := range batch {
		var n notice.Notice
		err := json.Unmarshal(r.Body, &n)
		if err != nil || !n.Bound() {
			p.log.Warn("notice can't be read, it is left out", zap.Uint64("sequence", r.Sequence), zap.Error(err))
			continue
		}
		owner, person := graph.CanonicalGUID(n.Owner)
		if !person {
			continue // nobody to tell
		}
		p.metrics.count("nats", n.Kind, resultSent)
		if len(p.o.Channels) == 0 {
			continue
		}
		if of[owner] == nil {
			order = append(order, owner)
		}
		of[owner] = append(of[owner], n)
	}
	for _, owner := range order {
		if err := p.takeFor(ctx, owner, of[owner]); err != nil {
			return err
		}
	}
	return nil
}

// takeFor puts notices into the box of one person.
func (p *delivery) takeFor(ctx context.Context, owner string, list []notice.Notice) error {
	for range store.MaxConflicts {
		b, err := p.read(ctx, owner)
		if err != nil {
			return err
		}
		now, limited := time.Now(), []string{}
		for _, n := range list {
			if !b.take(n, now) {
				limited = append(limited, n.Kind)
			}
		}
		ok, err := p.store(ctx, b)
		if err != nil {
			return err
		}
		if ok {
			for _, kind := range limited {
				p.metrics.count(p.o.Channels[0].Name(), kind, resultLimited)
			}
			return nil
		}
	}
	return errTaken
}

// read returns the box of a person as it is stored; a new one when there is none.
func (p *delivery) read(ctx context.Context, owner string) (*loaded, error) {
	value, revision, err := p.o.State.Get(ctx, keyOf(owner))
	if err != nil {
		return nil, fmt.Errorf("read notices of a person: %w", err)
	}
	if revision == 0 {
		return &loaded{box: box{Owner: owner}}, nil
	}
	b, err := readBox(keyOf(owner), value)
	if err != nil {
		p.log.Error("notices of a person can't be read, they begin anew", zap.String("person", owner), zap.Error(err))
		b = box{Owner: owner}
	}
	return &loaded{b, revision}, nil
}

// store stores a box and keeps it in memory while messages wait in it. It reports false when another
// has changed it, as the erasure of a person does, or an instance that has lost its lease in the
// middle of its work: what that one has stored is kept in memory instead, or nobody would deliver it.
func (p *delivery) store(ctx context.Context, b *loaded) (bool, error) {
	value, err := json.Marshal(&b.box)
	if err != nil {
		return false, fmt.Errorf("encode notices of a person: %w", err)
	}
	revision, ok, err := p.o.State.CompareAndSet(ctx, keyOf(b.Owner), value, b.revision, b.keep(time.Now()))
	if err != nil {
		return false, fmt.Errorf("store notices of a person: %w", err)
	}
	delete(p.boxes, b.Owner)
	b.revision = revision
	if !ok {
		if b, err = p.read(ctx, b.Owner); err != nil {
			return false, err
		}
	}
	if len(b.Waiting) > 0 {
		p.boxes[b.Owner] = b
	}
	return ok, nil
}
