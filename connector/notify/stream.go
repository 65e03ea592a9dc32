package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"pullprint/connector/recovery"
	"pullprint/connector/store"
)

const (
	// batchSize is how many records are worked on at once at most: each person is written once for
	// all of them.
	batchSize = 64
	// positionEvery is how long the position may lag behind: what is read again after a crash changes
	// nothing, and a write for each decision would.
	positionEvery = 5 * time.Second
	// beginAt is how far back a store without a position is read: a process that died before it could
	// store its first one has lost nothing, and an upgrade does not tell of old decisions.
	beginAt = time.Hour
)

// Records are the streams that are followed; *bus.Bus is one.
type Records interface {
	// Follow calls fn with the records that come after a sequence, or with those since a time when
	// after is 0, until ctx ends.
	Follow(ctx context.Context, kind store.Kind, after uint64, since time.Time, fn func(store.Record) error) error
	// Scan calls fn with the records of a kind that are there.
	Scan(ctx context.Context, kind store.Kind, fn func(store.Record) error) error
}

// State is the state bucket; *bus.KV is one.
type State interface {
	store.KV
	Each(ctx context.Context, filter string, fn func(key string, value []byte, revision uint64) error) error
}

// errTaken says that another instance has changed what is stored: it has the lease by now.
var errTaken = errors.New("another instance delivers notices")

// position is how far a stream was worked on. It is stored at most positionEvery or batchSize records
// late.
type position struct {
	state State
	key   string

	sequence uint64 // of the last record that was worked on
	stored   uint64 // what is stored of it
	revision uint64
	records  int // since it was stored
	at       time.Time
	// late are the records up to sequence that are to be worked on again; changed says that what is
	// stored of them is out of date.
	late    []late
	changed bool
}

// storedPosition is the value of the key.
type storedPosition struct {
	Sequence uint64 `json:"sequence"`
	Late     []late `json:"late,omitempty"`
}

// CheckPosition reports with an error a position that can't be read.
func CheckPosition(value []byte) error { return json.Unmarshal(value, new(storedPosition)) }

// PositionPrefix is that of the keys of positions in the state bucket, with the kind of records
// behind it.
const PositionPrefix = "notices.position."

func openPosition(ctx context.Context, state State, name string) (*position, error) {
	p := &position{state: state, key: PositionPrefix + name, at: time.Now()}
	value, revision, err := state.Get(ctx, p.key)
	if err != nil {
		return nil, fmt.Errorf("read position: %w", err)
	}
	var is storedPosition
	if revision > 0 && json.Unmarshal(value, &is) != nil {
		return nil, fmt.Errorf("%w: the key %s of the state can't be read", store.ErrDamaged, p.key)
	}
	p.sequence, p.stored, p.revision, p.late = is.Sequence, is.Sequence, revision, is.Late
	return p, nil
}

// move notes that records up to a sequence were worked on.
func (p *position) move(ctx context.Context, sequence uint64, records int) error {
	p.sequence = sequence
	p.records += records
	if p.records < batchSize && time.Since(p.at) < positionEvery {
		return nil
	}
	return p.save(ctx)
}

// save stores the position, if it has moved.
func (p *position) save(ctx context.Context) error {
	p.records, p.at = 0, time.Now()
	if p.sequence == p.stored && !p.changed {
		return nil
	}
	value, err := json.Marshal(storedPosition{p.sequence, p.late})
	if err != nil {
		return fmt.Errorf("encode position: %w", err)
	}
	revision, ok, err := p.state.CompareAndSet(ctx, p.key, value, p.revision, 0)
	if err != nil {
		return fmt.Errorf("store position: %w", err)
	}
	if !ok {
		return errTaken
	}
	p.stored, p.revision, p.changed = p.sequence, revision, false
	return nil
}

// due is when the position is to be saved; never when it has not moved.
func (p *position) due(now time.Time) time.Duration {
	if p.sequence == p.stored && !p.changed {
		return idle
	}
	return p.at.Add(positionEvery).Sub(now)
}

// idle is a wait for whatever comes first; nothing depends on its end.
const idle = time.Hour

// following hands the records of a stream to one goroutine.
type following struct {
	*position
	records chan store.Record
}

// follow runs work with the records of a kind that come after the stored position of name, and
// returns the error of whichever ends first.
func (n *Notifier) follow(ctx context.Context, kind store.Kind, name string, work func(context.Context, following) error) error {
	p, err := openPosition(ctx, n.o.State, name)
	if err != nil {
		return err
	}
	f := following{p, make(chan store.Record, batchSize)}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return n.o.Records.Follow(ctx, kind, p.sequence, time.Now().Add(-beginAt), func(r store.Record) error {
			select {
			case f.records <- r:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	g.Go(func() error { return recovery.Catch(func() error { return work(ctx, f) }) })
	return g.Wait()
}

// batch is a record with those that are there already, batchSize at most.
func (f following) batch(first store.Record) []store.Record {
	list := []store.Record{first}
	for len(list) < batchSize {
		select {
		case r := <-f.records:
			list = append(list, r)
		default:
			return list
		}
	}
	return list
}
