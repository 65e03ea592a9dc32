package bus

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"pullprint/connector/bus/disk"
	"pullprint/connector/bus/schema"
	"pullprint/connector/bus/stored"

	"github.com/nats-io/nats.go/jetstream"
)

// AcceptLoss makes a store that is damaged or behind its mark usable as it is, and says
// what it has lost; that is recorded in the audit under the name of the operator. Records
// that o.CheckRecord does not understand are removed. It needs the store for itself.
// confirm is asked first; nothing is changed unless it returns nil. Nothing lost is no
// error, and changes nothing.
func AcceptLoss(
	ctx context.Context, cfg Config, o Options, by string, confirm func([]disk.Loss) error,
) ([]disk.Loss, error) {
	lost, err := acceptMissing(ctx, cfg, o, by, confirm)
	if err != nil || o.CheckRecord == nil {
		return lost, err
	}
	records, err := acceptRecords(ctx, cfg, o, by, confirm)
	return append(lost, records...), err
}

// acceptRecords removes the records that can't be read. The audit comes first: no record
// is removed that it does not tell.
func acceptRecords(
	ctx context.Context, cfg Config, o Options, by string, confirm func([]disk.Loss) error,
) ([]disk.Loss, error) {
	b, err := Open(ctx, cfg, o)
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }()
	if cfg.Embedded == nil {
		if err := b.inUse(ctx); err != nil {
			return nil, err
		}
	}
	var lost []disk.Loss
	var remove []func() (bool, error)
	for _, kv := range []*stored.KV{b.quota, b.badges, b.state} {
		err := kv.Each(ctx, ">", func(key string, value []byte, revision uint64) error {
			if err := o.CheckRecord(kv.Name(), key, value); err != nil {
				lost = append(lost, disk.Loss{Stream: kv.Stream(), Record: err.Error()})
				remove = append(remove, func() (bool, error) { return kv.Delete(ctx, key, revision) })
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(lost) == 0 {
		return nil, b.Close()
	}
	if err := confirm(lost); err != nil {
		return nil, err
	}
	if err := b.auditLoss(ctx, lost, by); err != nil {
		return nil, err
	}
	for i := range remove {
		ok, err := remove[i]()
		if err == nil && !ok {
			err = errors.New("it was changed meanwhile; do it again")
		}
		if err != nil {
			return nil, fmt.Errorf("remove a record: %s: %w", lost[i], err)
		}
	}
	return lost, b.Close()
}

// acceptMissing is AcceptLoss for what the server can't read or has not.
func acceptMissing(
	ctx context.Context, cfg Config, o Options, by string, confirm func([]disk.Loss) error,
) ([]disk.Loss, error) {
	if cfg.Embedded == nil {
		return acceptGone(ctx, cfg, o, by, confirm)
	}
	m, err := disk.ReadMark(cfg.Embedded.markFile())
	if err != nil {
		return nil, err
	}
	repaired, err := acceptDamage(cfg.Embedded, m, confirm)
	if err != nil {
		return nil, err
	}
	o.unchecked = true
	b, err := attach(ctx, cfg, o)
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }()
	var missing []disk.Loss
	if m != nil {
		if missing, err = b.losses(ctx, m); err != nil {
			return nil, err
		}
	}
	// What is missing in a repaired bucket was reported with its damage.
	missing = slices.DeleteFunc(missing, func(l disk.Loss) bool {
		return slices.ContainsFunc(repaired, func(m disk.Loss) bool { return m.Stream == l.Stream })
	})
	if len(missing) > 0 {
		err = confirm(missing)
	}
	lost := append(repaired, missing...)
	if err != nil || len(lost) == 0 {
		return nil, err
	}
	return lost, b.acceptLost(ctx, lost, by)
}

// acceptDamage repairs the files of a store once confirm has agreed.
func acceptDamage(e *Embedded, m *disk.Mark, confirm func([]disk.Loss) error) (lost []disk.Loss, err error) {
	dir, err := filepath.Abs(e.StoreDir)
	if err != nil {
		return nil, fmt.Errorf("nats.embedded.store_dir: %w", err)
	}
	lock, err := disk.Lock(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	damaged, err := disk.Scan(dir, m)
	if err != nil {
		return nil, err
	}
	if damaged, err = disk.WithMissing(damaged, dir, m); err != nil {
		return nil, err
	}
	damaged = slices.DeleteFunc(damaged, func(l disk.Loss) bool { return l.Damage == "" && !disk.Hidden(dir, l) })
	if len(damaged) == 0 {
		return nil, nil
	}
	if err := confirm(damaged); err != nil {
		return nil, err
	}
	return damaged, disk.Repair(dir, damaged)
}

// acceptLost records a loss, and makes the store complete. The audit comes first, then
// the mark: no loss is accepted that the audit does not tell.
func (b *Bus) acceptLost(ctx context.Context, lost []disk.Loss, by string) error {
	if err := b.ensure(ctx); err != nil {
		return err
	}
	if err := b.auditLoss(ctx, lost, by); err != nil {
		return err
	}
	b.unchecked = false
	if err := b.complete(ctx); err != nil {
		return err
	}
	return b.Close()
}

func (b *Bus) auditLoss(ctx context.Context, lost []disk.Loss, by string) error {
	texts := make([]string, len(lost))
	for i, l := range lost {
		texts[i] = l.String()
	}
	id, body, err := b.action("accept-loss", by, strings.Join(texts, "; "))
	if err == nil {
		_, err = b.link.JS.Publish(ctx, schema.AuditSubject+"accept-loss", body, jetstream.WithMsgID(id))
	}
	if err != nil {
		return fmt.Errorf("store audit record: %w", err)
	}
	return nil
}

// acceptGone is AcceptLoss for an external store.
func acceptGone(
	ctx context.Context, cfg Config, o Options, by string, confirm func([]disk.Loss) error,
) ([]disk.Loss, error) {
	o.unchecked = true
	b, err := attach(ctx, cfg, o)
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }()
	if err := b.inUse(ctx); err != nil {
		return nil, err
	}
	lost, _, err := b.gone(ctx)
	if err != nil || len(lost) == 0 {
		return nil, err
	}
	if err := confirm(lost); err != nil {
		return nil, err
	}
	return lost, b.acceptLost(ctx, lost, by)
}
