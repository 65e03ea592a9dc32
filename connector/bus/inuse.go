package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pullprint/connector/bus/link"
	"pullprint/connector/bus/schema"
	"pullprint/connector/bus/stored"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrInUse: a daemon works with the store.
var ErrInUse = errors.New("a daemon works with this store")

// inUse reports with ErrInUse that a daemon works with an external server's
// streams. It is known by three things that each daemon leaves there: a fetch of
// tasks that is waiting, a lease, and a canary of the last 25 s, by the server's
// clock. One that was killed is alive for that long. The embedded store has its
// lock instead.
func (b *Bus) inUse(ctx context.Context) error {
	if b.cfg.Embedded != nil {
		return nil
	}
	ctx, cancel := link.WithLimit(ctx, stored.ReadLimit)
	defer cancel()
	c, err := b.link.JS.Consumer(ctx, schema.Tasks, schema.Consumer)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
	case err != nil:
		return fmt.Errorf("ask who works with the store: %w", err)
	case c.CachedInfo().NumWaiting > 0:
		return fmt.Errorf("%w: it waits for tasks; stop every `pullprint run` first", ErrInUse)
	}
	s, err := b.link.JS.Stream(ctx, "KV_"+schema.StateBucket)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ask who works with the store: %w", err)
	}
	now := s.CachedInfo().TimeStamp
	who := ""
	r := stored.Reader{
		Link: b.link, Stream: "KV_" + schema.StateBucket, Filter: "$KV." + schema.StateBucket + ".>", LastPerSubject: true,
	}
	err = r.Read(ctx, func(m stored.Message) error {
		key := strings.TrimPrefix(m.Subject, "$KV."+schema.StateBucket+".")
		switch {
		case m.Absent, m.Subject == "$KV."+schema.StateBucket+"."+schema.Canary(b.instance):
		case strings.HasPrefix(key, "lease."):
			holder, _, _ := strings.Cut(string(m.Body), " ")
			who = holder + " has the lease " + strings.TrimPrefix(key, "lease.")
		case strings.HasPrefix(key, "canary.") && now.Sub(m.Stored) < schema.AliveFor:
			who = strings.TrimPrefix(key, "canary.") + " was alive " + now.Sub(m.Stored).Round(time.Second).String() + " ago"
		}
		return nil
	}, nil)
	if err != nil {
		return fmt.Errorf("ask who works with the store: %w", err)
	}
	if who != "" {
		return fmt.Errorf("%w: %s; stop every `pullprint run`, and if all are, wait for %s and try again", ErrInUse, who,
			schema.AliveFor)
	}
	return nil
}
