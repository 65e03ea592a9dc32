package bus

import (
	"bytes"
	"context"

	"pullprint/connector/bus/backup"
	"pullprint/connector/bus/disk"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JetStream is the client below the bus, for floors and for meddling.
func (b *Bus) JetStream() jetstream.JetStream { return b.link.JS }

// Conn is the connection below the bus.
func (b *Bus) Conn() *nats.Conn { return b.link.NC }

// Step is an upgrade of what is stored, and Upgrade does some.
func Step(to int, name string, readable int, do func(context.Context, *Bus) error) step {
	return step{to: to, name: name, readable: readable, do: do}
}

// Upgrade does steps.
func Upgrade(ctx context.Context, b *Bus, steps ...step) error { return b.upgrade(ctx, steps) }

// Compare compares what is stored with a backup.
func Compare(ctx context.Context, b *Bus, file []byte) error {
	f, err := backup.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return err
	}
	for _, p := range b.cfg.wanted() {
		if _, err := b.compare(ctx, f, p.Config); err != nil {
			return err
		}
	}
	return nil
}

// OpenUnchecked opens a store as if it had been damaged since.
func OpenUnchecked(ctx context.Context, cfg Config) (*Bus, error) {
	b, err := attach(ctx, cfg, Options{unchecked: true})
	if err != nil {
		return nil, err
	}
	return b, b.complete(ctx)
}

// Stored are the types that are stored as JSON, by the name of their file.
var Stored = map[string]func() any{
	"backup-header":  func() any { return new(backup.Header) },
	"backup-trailer": func() any { return new(backup.Trailer) },
	"format":         func() any { return new(format) },
	"mark":           func() any { return new(disk.Mark) },
}
