package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"pullprint/connector/bus/schema"
	"pullprint/connector/store"

	"go.uber.org/zap"
)

// ErrFormat: what is stored is of a version of pullprint newer than this one.
var ErrFormat = errors.New("the state was written by a newer version of pullprint")

const (
	// stateFormat is the form of everything we store. A release that stores what
	// the one before can't read raises it, and adds a step.
	stateFormat = 1
	keyFormat   = "format"
)

// format is the value of keyFormat. A store without one is of format 1: the
// releases before there was a number.
type format struct {
	// Format is that of what is stored.
	Format int `json:"format"`
	// Readable is the oldest format whose programs can work with it. It is less
	// than Format while a change only adds: then replicas are upgraded one by one.
	Readable int       `json:"readable_by"`
	Since    time.Time `json:"since"`
}

// step brings what is stored from the format before to a format. It may be done
// again: if the process dies within it, the next start begins it anew.
type step struct {
	to   int
	name string
	// readable is the oldest format that can work with the outcome. When that is
	// to, no other replica may be running while it is done.
	readable int
	do       func(ctx context.Context, b *Bus) error
}

// steps are all there are, in order.
var steps []step

// upgrade brings what is stored to the format of this program, a step after the
// other, or says why it can't.
//
// Crash safety: a step changes the records, then the number. If the process dies
// between, the step is done again, on records that it has changed already. Two replicas that
// start at once may both do a step: the number is moved by compare-and-set.
func (b *Bus) upgrade(ctx context.Context, steps []step) error {
	own := stateFormat
	if n := len(steps); n > 0 {
		own = steps[n-1].to
	}
	var is format
	var revision uint64
	// A cluster that has just begun may not answer yet.
	err := soon(ctx, "look at the state", func(ctx context.Context) error {
		var err error
		if is, revision, err = b.format(ctx); err == nil && revision == 0 {
			is, revision, err = b.setFormat(ctx, is, 0)
		}
		return err
	})
	if err != nil {
		return err
	}
	if is.Format > own && is.Readable > own {
		return fmt.Errorf("%w: it is of format %d and this program knows %d; run that version again, or go back by "+
			"`pullprint restore FILE` of a backup from before the upgrade", ErrFormat, is.Format, own)
	}
	for _, s := range steps {
		if s.to <= is.Format {
			continue
		}
		if s.readable >= s.to {
			if err := b.inUse(ctx); err != nil {
				return fmt.Errorf("upgrade the state to format %d (%s): every replica has to be stopped for it: %w", s.to, s.name,
					err)
			}
		}
		if err := s.do(ctx, b); err != nil {
			return fmt.Errorf("upgrade the state to format %d (%s): %w", s.to, s.name, err)
		}
		if is, revision, err = b.setFormat(ctx, format{Format: s.to, Readable: s.readable}, revision); err != nil {
			return err
		}
		b.log.Info("state upgraded", zap.Int("format", s.to), zap.String("step", s.name))
	}
	return nil
}

func (b *Bus) format(ctx context.Context) (format, uint64, error) {
	value, revision, err := b.state.Get(ctx, keyFormat)
	f := format{Format: 1, Readable: 1}
	if err != nil {
		return f, 0, fmt.Errorf("read the format of the state: %w", err)
	}
	if revision > 0 && (json.Unmarshal(value, &f) != nil || f.Format < 1) {
		return f, 0, fmt.Errorf("%w: the key %s of KV_%s is not a valid format; `pullprint restore FILE` from a backup",
			store.ErrDamaged, keyFormat, schema.StateBucket)
	}
	return f, revision, nil
}

// setFormat stores a format, unless another replica has stored one: then it tells
// that.
func (b *Bus) setFormat(ctx context.Context, f format, revision uint64) (format, uint64, error) {
	f.Since = time.Now().UTC()
	value, err := json.Marshal(f)
	if err != nil {
		return f, 0, fmt.Errorf("encode the format of the state: %w", err)
	}
	next, ok, err := b.state.CompareAndSet(ctx, keyFormat, value, revision, 0)
	if err != nil {
		return f, 0, fmt.Errorf("store the format of the state: %w", err)
	}
	if !ok {
		return b.format(ctx)
	}
	return f, next, nil
}
