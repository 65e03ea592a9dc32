package bus

import (
	"context"
	"fmt"
	"time"

	"pullprint/connector/bus/schema"
	"pullprint/connector/bus/stored"
)

// Decisions calls fn with the decisions stored since a time, oldest first, then
// returns; with follow it goes on with new ones until ctx ends, and returns its
// error. An error of fn ends it and is returned.
func (b *Bus) Decisions(
	ctx context.Context, since time.Time, follow bool, fn func(stored time.Time, body []byte) error,
) error {
	return b.records(ctx, schema.Decisions, since, follow, fn)
}

// Dead is Decisions for the tasks that were given up.
func (b *Bus) Dead(
	ctx context.Context, since time.Time, follow bool, fn func(stored time.Time, body []byte) error,
) error {
	r := stored.Reader{Link: b.link, Stream: schema.Dead, Filter: schema.DeadSubject, Since: since, Follow: follow}
	return r.Read(ctx, func(m stored.Message) error { return fn(m.Stored, m.Body) }, nil)
}

// Actions is Decisions for the audit of the API and the pages.
func (b *Bus) Actions(
	ctx context.Context, since time.Time, follow bool, fn func(stored time.Time, body []byte) error,
) error {
	return b.records(ctx, schema.Audit, since, follow, fn)
}

// LedgerSince calls fn with the entries of an account since a time, oldest first. The same entry may come twice.
func (b *Bus) LedgerSince(ctx context.Context, account string, since time.Time, fn func(body []byte) error) error {
	if !stored.ValidSubject(account) {
		return fmt.Errorf("read %s: the account has an empty or forbidden token", schema.Ledger)
	}
	r := stored.Reader{Link: b.link, Stream: schema.Ledger, Filter: schema.LedgerSubject + account, Since: since}
	return r.Read(ctx, func(m stored.Message) error { return fn(m.Body) }, nil)
}

// LedgerFrom calls fn with the entries of an account, or of all when it is empty,
// from a sequence on, oldest first. The same entry may come twice. When the history ends
// before that sequence, it is another: then fn is called with all of it.
func (b *Bus) LedgerFrom(
	ctx context.Context, account string, sequence uint64, fn func(sequence uint64, stored time.Time, body []byte) error,
) error {
	if account != "" && !stored.ValidSubject(account) {
		return fmt.Errorf("read %s: the account has an empty or forbidden token", schema.Ledger)
	}
	r := stored.Reader{Link: b.link, Stream: schema.Ledger, Last: max(1, sequence) - 1}
	if account != "" {
		r.Filter = schema.LedgerSubject + account
	}
	return r.Read(ctx, func(m stored.Message) error { return fn(m.Sequence, m.Stored, m.Body) }, nil)
}

func (b *Bus) records(
	ctx context.Context, stream string, since time.Time, follow bool, fn func(time.Time, []byte) error,
) error {
	r := stored.Reader{Link: b.link, Stream: stream, Since: since, Follow: follow}
	return r.Read(ctx, func(m stored.Message) error { return fn(m.Stored, m.Body) }, nil)
}
