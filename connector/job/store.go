package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pullprint/connector/store"
	"pullprint/trigger/graph"
)

// ErrDamaged says that a job record can't be read.
var ErrDamaged = errors.New("the job record is damaged")

// ErrIllegal is wrapped by the error of an illegal move.
var ErrIllegal = errors.New("illegal move")

// KV is what the store needs of a bucket; *stored.KV is one.
type KV interface {
	store.KV
	Each(ctx context.Context, filter string, fn func(key string, value []byte, revision uint64) error) error
	Watch(ctx context.Context, filter string, fn func(key string, value []byte, revision uint64), caughtUp func()) error
}

// Store keeps records. Every write is durable before it returns.
type Store struct {
	kv        KV
	retention time.Duration
	around    func(context.Context) (done func()) // may be nil
}

// NewStore keeps records in kv, those of jobs that have come to their end for that long.
func NewStore(kv KV, retention time.Duration) *Store { return &Store{kv: kv, retention: retention} }

// Retention is how long the records of jobs that have come to their end are kept.
func (s *Store) Retention() time.Duration { return s.retention }

// Around is a Store of the same records that calls begin before each Get and Put, and what
// it returned after.
func (s *Store) Around(begin func(context.Context) (done func())) *Store {
	return &Store{kv: s.kv, retention: s.retention, around: begin}
}

func (s *Store) begin(ctx context.Context) (done func()) {
	if s.around == nil {
		return func() {}
	}
	return s.around(ctx)
}

// Get reads a record; revision 0 means that there is none. A key with the owner's id in
// lower case also finds the record that an earlier version stored with it in capitals.
func (s *Store) Get(ctx context.Context, key string) (rec Record, revision uint64, err error) {
	done := s.begin(ctx)
	value, revision, err := s.kv.Get(ctx, key)
	if other := inCapitals(key); err == nil && revision == 0 && other != key {
		key = other
		value, revision, err = s.kv.Get(ctx, key)
	}
	done()
	if err != nil {
		return Record{}, 0, fmt.Errorf("read job record: %w", err)
	}
	if revision == 0 {
		return Record{}, 0, nil
	}
	if rec, err = decode(key, value); err != nil {
		return Record{}, 0, fmt.Errorf("%w: revision %d: %w", ErrDamaged, revision, err)
	}
	return rec, revision, nil
}

// Put stores a record if the stored one is still at revision (0: there is
// none). ok is false when another was faster; an error means that nobody knows
// and the caller has to look again. The record of a job that has come to its
// end is forgotten after the store's time for them.
func (s *Store) Put(ctx context.Context, rec *Record, revision uint64) (newRevision uint64, ok bool, err error) {
	value, err := json.Marshal(rec)
	if err != nil {
		return 0, false, fmt.Errorf("encode job record: %w", err)
	}
	var ttl time.Duration
	if rec.State.Final() {
		ttl = s.retention
	}
	done := s.begin(ctx)
	newRevision, ok, err = s.kv.CompareAndSet(ctx, rec.Key(), value, revision, ttl)
	done()
	if err != nil {
		return 0, false, fmt.Errorf("store job record as %s: %w", rec.State, err)
	}
	return newRevision, ok, nil
}

// Owned calls fn with each record of one owner. Its cost depends on that
// owner's jobs, not on all. One that can't be read is left out: whoever watches
// the records has named it.
func (s *Store) Owned(ctx context.Context, owner string, fn func(Record, uint64) error) error {
	owner = graph.Canonical(owner)
	known := map[graph.Ref]bool{}
	// An earlier version stored ids as it got them: in capitals, if not as Entra writes them.
	for _, id := range slices.Compact([]string{owner, strings.ToUpper(owner)}) {
		err := s.kv.Each(ctx, ownerFilter(id), func(key string, value []byte, revision uint64) error {
			rec, err := decode(key, value)
			if err != nil || known[rec.Ref] {
				return nil //nolint:nilerr // it is left out
			}
			known[rec.Ref] = true
			return fn(rec, revision)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Watch calls fn with every record, now and whenever one changes, and caughtUp
// once after the present ones; it blocks until ctx ends. A record that is
// forgotten arrives with a nil value.
func (s *Store) Watch(ctx context.Context, fn func(key string, value []byte), caughtUp func()) error {
	return s.kv.Watch(ctx, ">", func(key string, value []byte, _ uint64) { fn(key, value) }, caughtUp)
}
