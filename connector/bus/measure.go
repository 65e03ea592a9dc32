package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pullprint/connector/bus/schema"
	"pullprint/connector/bus/write"
	"pullprint/connector/store"
	"pullprint/trigger/wait"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// MeasureEvery is how often the store is measured.
const MeasureEvery = 15 * time.Second

// Measure keeps the gauges of the store until ctx ends: what each stream and bucket
// takes, and what waits to be decided. It looks at nothing but the store, which all
// replicas share, so all of them tell the same. What can't be measured is left as it
// was, and is said once.
func (b *Bus) Measure(ctx context.Context) error {
	failing := false
	for {
		err := b.measure(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !failing:
			b.log.Warn("store not measured", zap.Error(err))
		case err == nil && failing:
			b.log.Info("store measured again")
		}
		failing = err != nil
		if err := wait.Sleep(ctx, MeasureEvery); err != nil {
			return err
		}
	}
}

func (b *Bus) measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, write.Limit)
	defer cancel()
	var errs []error
	for _, p := range schema.Streams(1) {
		errs = append(errs, b.measureStream(ctx, p.Config.Name))
	}
	errs = append(errs, b.measureTasks(ctx))
	if e := b.cfg.Embedded; e != nil {
		in, err := inspectEmbedded(e)
		if err == nil {
			b.metrics.free.Set(float64(in.Free))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (b *Bus) measureStream(ctx context.Context, name string) error {
	s, err := b.link.JS.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", name, err)
	}
	info := s.CachedInfo()
	b.metrics.bytes.WithLabelValues(name).Set(float64(info.State.Bytes))
	b.metrics.messages.WithLabelValues(name).Set(float64(info.State.Msgs))
	if info.Config.MaxBytes > 0 {
		b.metrics.limit.WithLabelValues(name).Set(float64(info.Config.MaxBytes))
	}
	b.warnShortHistory(info, time.Now())
	return nil
}

// warnShortHistory says, once, that a history is shorter than it is to be kept: its share
// of the store is full, and the oldest go before their time.
func (b *Bus) warnShortHistory(info *jetstream.StreamInfo, now time.Time) {
	cfg, held := &info.Config, now.Sub(info.State.FirstTime)
	full := cfg.MaxBytes > 0 && info.State.Bytes > uint64(cfg.MaxBytes)/10*9 // a block goes at a time
	if cfg.Discard != jetstream.DiscardOld || !full || cfg.MaxAge == 0 || held <= 0 || held > cfg.MaxAge/10*9 {
		return
	}
	if _, told := b.short.LoadOrStore(cfg.Name, true); told {
		return
	}
	needed := store.Size(float64(cfg.MaxBytes) * float64(cfg.MaxAge) / float64(held))
	b.log.Warn("records are removed before their retention ends: the share of the stream is full",
		zap.String("remedy", "enlarge nats.embedded.max_store, shorten retention, or export the ledger"),
		zap.String("stream", cfg.Name), zap.Duration("kept", held.Round(time.Hour)), zap.Duration("retention", cfg.MaxAge),
		zap.Int64("share_bytes", cfg.MaxBytes), zap.Int64("needed_bytes", int64(needed)))
}

// measureTasks finds the oldest task that no worker has answered. What comes after
// the consumer's floor may be answered already, but the first of it is not.
func (b *Bus) measureTasks(ctx context.Context) error {
	c, err := b.link.JS.Consumer(ctx, schema.Tasks, schema.Consumer)
	if err != nil {
		return fmt.Errorf("look at consumer %s: %w", schema.Consumer, err)
	}
	info := c.CachedInfo()
	undecided := float64(info.NumPending) + float64(info.NumAckPending)
	b.metrics.undecided.Set(undecided)
	if undecided == 0 {
		b.metrics.oldest.Store(0)
		return nil
	}
	s, err := b.link.JS.Stream(ctx, schema.Tasks)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", schema.Tasks, err)
	}
	msg, err := s.GetMsg(ctx, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(schema.TasksSubject+"*"))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		b.metrics.oldest.Store(0) // decided meanwhile, or gone with its age
	case err != nil:
		return fmt.Errorf("read the oldest undecided task: %w", err)
	default:
		b.metrics.oldest.Store(msg.Time.UnixNano())
	}
	return nil
}
