package bus

import (
	"context"
	"sync"
	"time"

	"pullprint/connector/recovery"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

const (
	// holdFor is how long the writes of a process are held back at most: well below the limit
	// of a write, so that none fails for it.
	holdFor = 2 * time.Second
	// subjectHold is where a process that copies an external store asks the others to hold their
	// writes back. It is an inbox, as whoever may use the store may publish and subscribe there.
	subjectHold = "_INBOX.pullprint.hold"
)

// holds is the state of holding this process's writes back: for a copy made here, or for one
// made elsewhere.
type holds struct {
	turn chan struct{}      // has room for the one whose turn it is
	end  context.CancelFunc // ends the one that is served; nil when none are
}

// close lets the writes go that are held back for others, and holds none back from then on.
func (h *holds) close() {
	if h.end != nil {
		h.end()
		h.turn <- struct{}{}
	}
}

// holdWrites waits for the writes under way and holds new ones back until release
// is called. When ctx ends before, nothing is held back.
func (b *Bus) holdWrites(ctx context.Context) (release func(), err error) {
	var held []func()
	release = func() {
		for _, let := range held {
			let()
		}
	}
	for _, w := range b.writers {
		let, err := w.Hold(ctx)
		if err != nil {
			release()
			return nil, err
		}
		held = append(held, let)
	}
	return release, nil
}

// holdAll holds the writes of this process back, and asks the other ones that use the store to
// hold back theirs, until release is called.
func (b *Bus) holdAll(ctx context.Context) (release func(), err error) {
	select {
	case b.holds.turn <- struct{}{}: // so this process does not answer itself
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() {
		if err != nil {
			<-b.holds.turn
		}
	}()
	others, err := b.askHolds()
	if err != nil {
		return nil, err
	}
	ours, err := b.holdWrites(ctx)
	if err != nil {
		others()
		return nil, err
	}
	return func() {
		ours()
		others()
		<-b.holds.turn
	}, nil
}

// serveHolds holds writes back when another process asks for it. What is asked while some are
// held back already is not answered.
func (b *Bus) serveHolds() error {
	ctx, cancel := context.WithCancel(context.Background())
	b.holds.end = cancel
	_, err := b.link.NC.Subscribe(subjectHold, func(msg *nats.Msg) {
		select {
		case b.holds.turn <- struct{}{}:
			go func() {
				defer func() { <-b.holds.turn }()
				if err := recovery.Catch(func() error { b.holdForAnother(ctx, msg); return nil }); err != nil {
					b.log.Error("panic while writes were held back for a copy of the store", zap.Error(err))
				}
			}()
		default:
		}
	})
	return err
}

// holdForAnother holds writes back until the one who asked says so, and for holdFor at most. The
// answer says where to say so.
func (b *Bus) holdForAnother(ctx context.Context, msg *nats.Msg) {
	if !inbox(msg.Reply) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, holdFor)
	defer cancel()
	end := b.link.NC.NewRespInbox()
	ends, err := b.link.NC.SubscribeSync(end)
	if err != nil {
		b.log.Warn("writes not held back for a copy of the store", zap.Error(err))
		return
	}
	defer ends.Unsubscribe() //nolint:errcheck // ends with the connection at the latest
	began := time.Now()
	release, err := b.holdWrites(ctx)
	if err != nil {
		return // who copies sees that something is still written
	}
	defer release()
	if err := b.link.NC.PublishRequest(msg.Reply, end, nil); err != nil {
		return
	}
	_, err = ends.NextMsgWithContext(ctx)
	b.log.Info("writes held back for a copy of the store", zap.Duration("writes_held", time.Since(began)), zap.Error(err))
}

// askHolds asks the other processes that use the store to hold their writes back, until
// release is called. How many there are is not known, and none has to answer: whoever copies
// sees by what is stored whether it stands still.
func (b *Bus) askHolds() (release func(), err error) {
	if b.cfg.Embedded != nil {
		return func() {}, nil
	}
	var mu sync.Mutex // guards ends and released
	var ends []string
	var released bool
	answers := b.link.NC.NewRespInbox()
	sub, err := b.link.NC.Subscribe(answers, func(msg *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case msg.Reply == "": // the server says that nobody hears it
		case released:
			_ = b.link.NC.Publish(msg.Reply, nil)
		default:
			ends = append(ends, msg.Reply)
		}
	})
	if err != nil {
		return nil, err
	}
	release = func() {
		mu.Lock()
		defer mu.Unlock()
		released = true
		for _, end := range ends {
			_ = b.link.NC.Publish(end, nil) // one that does not hear it goes on after holdFor
		}
		_ = sub.Unsubscribe()
	}
	if err := b.link.NC.PublishRequest(subjectHold, answers, nil); err != nil {
		release()
		return nil, err
	}
	return release, nil
}
