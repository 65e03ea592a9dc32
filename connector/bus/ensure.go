package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"pullprint/connector/bus/disk"
	"pullprint/connector/bus/schema"
	"pullprint/connector/store"
)

// wanted is the schema as this configuration has it.
func (c Config) wanted() []schema.Stream {
	parts := schema.Streams(c.replicas())
	for i := range parts {
		cfg := &parts[i].Config
		switch {
		case c.Embedded != nil:
			cfg.MaxBytes = c.Embedded.maxStore() / 100 * int64(parts[i].Share)
		case c.MaxBytes > 0:
			cfg.MaxBytes = int64(c.MaxBytes) / 100 * int64(parts[i].Share)
		}
		if age, _, ok := c.Retention.age(cfg.Name); ok {
			cfg.MaxAge = age
		}
	}
	return parts
}

// adjustWithin bounds the change of a stream: who may not gets no answer.
const adjustWithin = 5 * time.Second

// ensure creates what is missing and checks what is there. Nothing that exists is
// changed but how long records are kept, and the sizes of our own embedded store.
func (b *Bus) ensure(ctx context.Context) error {
	var changed []jetstream.StreamConfig
	if b.cfg.Embedded == nil {
		if err := b.checkExternal(ctx); err != nil {
			return err
		}
	}
	for _, p := range b.cfg.wanted() {
		found, err := b.ensureStream(ctx, p.Config)
		if err != nil {
			return err
		}
		if want, differs := b.adjusted(found, p.Config); differs {
			changed = append(changed, want)
		}
	}
	if err := b.adjust(ctx, changed); err != nil {
		return err
	}
	return b.ensureConsumer(ctx)
}

// adjusted is a stream as it is to be. Whoever runs an external server may have
// given it an age of their own, which stands unless the configuration says one.
func (b *Bus) adjusted(found, want jetstream.StreamConfig) (jetstream.StreamConfig, bool) {
	before := found
	if b.cfg.Embedded != nil {
		found.MaxBytes = want.MaxBytes
	}
	if _, told, ok := b.cfg.Retention.age(found.Name); ok && (told || b.cfg.Embedded != nil) {
		found.MaxAge = want.MaxAge
	}
	return found, found.MaxBytes != before.MaxBytes || found.MaxAge != before.MaxAge
}

// adjust gives streams their share of a max_store and their retention when those
// have changed. No size loses anything stored: a smaller limit than what is stored
// is refused by the streams that must not lose anything. An external server may
// not let us: then it stays as it is, and the log says so.
func (b *Bus) adjust(ctx context.Context, streams []jetstream.StreamConfig) error {
	for _, cfg := range streams {
		within, cancel := context.WithTimeout(ctx, adjustWithin)
		_, err := b.link.JS.UpdateStream(within, cfg)
		cancel()
		if err != nil && b.cfg.Embedded == nil {
			b.log.Warn("retention not changed: the server does not permit it", zap.String("stream", cfg.Name), zap.Error(err))
			continue
		}
		if err != nil {
			return fmt.Errorf("set the size of stream %s to %v (nats.embedded.max_store) and its age to %v (retention): %w",
				cfg.Name, store.Size(cfg.MaxBytes), cfg.MaxAge, err)
		}
		b.log.Info("stream adjusted", zap.String("stream", cfg.Name), zap.Int64("max_bytes", cfg.MaxBytes),
			zap.Duration("max_age", cfg.MaxAge))
	}
	return nil
}

func (b *Bus) ensureStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.StreamConfig, error) {
	s, err := b.link.JS.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = b.link.JS.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another replica was faster
			s, err = b.link.JS.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return jetstream.StreamConfig{}, fmt.Errorf("create or read stream %s: %w", want.Name, schema.ExplainLimit(err))
	}
	found := s.CachedInfo().Config
	if found.Metadata[restoring] != "" {
		return found, fmt.Errorf("%w: stream %s; run it again", ErrHalfRestored, want.Name)
	}
	return found, schema.CheckStream(found, want)
}

// codeConsumerStore is the server's answer when the files of a consumer can't be read, or made.
const codeConsumerStore = 10012

// consumerDir is where the server keeps the state of the consumer of tasks.
func (e *Embedded) consumerDir() string {
	return filepath.Join(e.StoreDir, disk.LiveFolder, "$G", "streams", schema.Tasks, "obs", schema.Consumer)
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (b *Bus) ensureConsumer(ctx context.Context) error {
	want := schema.TaskConsumer()
	c, err := b.link.JS.Consumer(ctx, schema.Tasks, schema.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		c, err = b.link.JS.CreateConsumer(ctx, schema.Tasks, want)
		var api *jetstream.APIError
		if errors.As(err, &api) && api.ErrorCode == schema.CodeMaxAckPending {
			less := want
			less.MaxAckPending = 0 // as many as the server allows
			c, err = b.link.JS.CreateConsumer(ctx, schema.Tasks, less)
		}
		if errors.Is(err, jetstream.ErrConsumerExists) {
			c, err = b.link.JS.Consumer(ctx, schema.Tasks, schema.Consumer)
		}
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeConsumerStore && b.cfg.Embedded != nil {
		if dir := b.cfg.Embedded.consumerDir(); isThere(dir) { // else it can't be made, as on a full disk
			return fmt.Errorf("%w: what is kept of the deliveries of tasks can't be read: %w; remove the folder %s and start "+
				"again: the tasks are looked at again, and nothing prints twice", store.ErrDamaged, err, dir)
		}
	}
	if err != nil {
		return fmt.Errorf("create or read consumer %s of stream %s: %w", schema.Consumer, schema.Tasks,
			schema.ExplainLimit(err))
	}
	return schema.CheckConsumer(c.CachedInfo().Config, want)
}
