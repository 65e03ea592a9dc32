// Package ledger keeps accounts in a store and changes them: it reserves what a job costs,
// and settles, refunds or voids what was reserved. What becomes of an account is worked
// out by package quota; here is what makes it durable. It reads no clock and has no
// randomness of its own: the caller passes both in.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	"pullprint/policy/quota"
)

// KV is what a Ledger needs of a durable bucket; that of the bus is one. CompareAndSet
// with revision 0 creates; swapped is false when the revision is another by now;
// an error means that the outcome is unknown.
type KV interface {
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	CompareAndSet(
		ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration,
	) (newRevision uint64, swapped bool, err error)
	Each(ctx context.Context, filter string, fn func(key string, value []byte, revision uint64) error) error
}

// History stores what happened on accounts; *bus.Bus is one. Storing the same
// msgID again changes nothing while it is remembered; whoever reads tells
// repeats by Seq.
type History interface {
	PublishLedger(ctx context.Context, account, msgID string, body []byte) error
}

// Ledger keeps accounts in a KV, each under one key, and changes them by
// compare-and-set alone. It is safe for concurrent use by any number of
// processes, and starts no goroutine.
//
// Crash safety: a change is stored together with its entry for the history, in an
// outbox within the account; then the entry is published. If the process dies
// between, the next change of the account, or the next Open, publishes it.
type Ledger struct {
	kv      KV
	history History

	newLife func() string
	// locks of accounts in this process spare conflicts; only the compare-and-set decides. Each is held by who
	// has put something in: one who waits while the store hangs gives up with its context.
	locks [64]chan struct{}

	mu        sync.Mutex           // guards published
	published map[string]published // the newest entry of each account that is surely in the history
}

// New keeps accounts in kv and tells history what happens. newLife names an account that is
// made, and never gives the same name twice, as crypto/rand.Text: an account of that key may
// have been there before, and its entries have the same numbers.
func New(kv KV, history History, newLife func() string) *Ledger {
	l := &Ledger{kv: kv, history: history, newLife: newLife, published: map[string]published{}}
	for i := range l.locks {
		l.locks[i] = make(chan struct{}, 1)
	}
	return l
}

// load reads an account; one that is not there is empty.
func (l *Ledger) load(ctx context.Context, key string) (*quota.State, uint64, error) {
	value, rev, err := l.kv.Get(ctx, key)
	if err != nil {
		return nil, 0, fmt.Errorf("read account: %w", err)
	}
	if rev == 0 {
		return new(quota.State), 0, nil
	}
	s, err := quota.Decode(value)
	if err != nil {
		return nil, 0, fmt.Errorf("read account at revision %d: %w", rev, err)
	}
	return s, rev, nil
}

// ErrBusy says that an account was not changed: others changed it at every try, or until the
// context ended. The caller can try again at once.
var ErrBusy = errors.New("too many concurrent updates of the account")

// maxOutbox is how many entries an account keeps that are not surely in the history: from then
// on it is not changed until they can be published.
const maxOutbox = 200

// maxTries is how often a change is made anew because another process was faster. Each time
// one of the others has got on, so that of 16 that change an account without a pause, one in
// ten million changes fails so often.
const maxTries = 256

// change has fn change an account until nobody else changed it meanwhile; the error is ErrBusy,
// and nothing is changed, when others did at every try. It returns the entry that tells of the
// change. An entry of no kind says that there was nothing to store.
func (l *Ledger) change(
	ctx context.Context, a quota.Account, now time.Time, fn func(*quota.State) (quota.Entry, error),
) (quota.Entry, error) {
	key := a.Key()
	unlock, err := l.lock(ctx, key)
	if err != nil {
		return quota.Entry{}, err
	}
	defer unlock()
	for range maxTries {
		s, rev, err := l.load(ctx, key)
		if err != nil {
			return quota.Entry{}, err
		}
		if err := l.flush(ctx, key, s); err != nil && len(s.Outbox) >= maxOutbox {
			return quota.Entry{}, err
		}
		e, err := fn(s)
		if err != nil || e.Kind == "" {
			return quota.Entry{}, err
		}
		if rev == 0 {
			s.Life = strings.ToLower(l.newLife()) // message ids are in lower case
		}
		s.Add(e, key, now)
		swapped, err := l.store(ctx, key, s, rev, s.UnusedFor(now))
		if err != nil {
			return quota.Entry{}, err
		}
		if swapped {
			_ = l.flush(ctx, key, s) // it stays in the outbox when this fails
			return e, nil
		}
		// Another change was faster. There is nothing to wait for: one of them has got on.
		if err := ctx.Err(); err != nil {
			return quota.Entry{}, fmt.Errorf("store account: %w: %w", ErrBusy, err)
		}
	}
	return quota.Entry{}, fmt.Errorf("store account: %w", ErrBusy)
}

// lock keeps the other changes of this process off an account.
func (l *Ledger) lock(ctx context.Context, key string) (unlock func(), err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	lock := l.locks[h.Sum32()%uint32(len(l.locks))]
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("change account: %w: %w", ErrBusy, ctx.Err())
	}
}

// store replaces revision rev of an account; swapped is false when there is another by now.
func (l *Ledger) store(
	ctx context.Context, key string, s *quota.State, rev uint64, ttl time.Duration,
) (swapped bool, err error) {
	value, err := json.Marshal(s)
	if err != nil {
		return false, fmt.Errorf("encode account: %w", err)
	}
	_, swapped, err = l.kv.CompareAndSet(ctx, key, value, rev, ttl)
	if err != nil {
		return false, fmt.Errorf("store account: %w", err)
	}
	return swapped, nil
}

// onEach changes accounts one after the other, until one can't be, and tells done of each
// change.
func (l *Ledger) onEach(
	ctx context.Context, accounts []quota.Account, now time.Time, fn func(*quota.State) (quota.Entry, error),
	done func(quota.Entry),
) error {
	for _, a := range accounts {
		e, err := l.change(ctx, a, now, fn)
		if err != nil {
			return err
		}
		if e.Kind != "" {
			done(e)
		}
	}
	return nil
}

// Settle makes what a job reserved spent, in the period it was reserved in, and
// tells how much that was. Doing it again changes nothing.
func (l *Ledger) Settle(
	ctx context.Context, job string, accounts []quota.Account, now time.Time,
) (spent quota.Amount, err error) {
	settle := func(s *quota.State) (quota.Entry, error) { return s.Settle(job, now) }
	err = l.onEach(ctx, accounts, now, settle, func(e quota.Entry) { spent = e.Amount })
	return spent, err
}

// Refund gives a part of what a job reserved back and makes the rest spent; it
// tells how much was given back. Doing it again changes nothing.
func (l *Ledger) Refund(
	ctx context.Context, job string, accounts []quota.Account, how quota.Refund, now time.Time,
) (back quota.Amount, err error) {
	refund := func(s *quota.State) (quota.Entry, error) { return s.Refund(job, how, now) }
	err = l.onEach(ctx, accounts, now, refund, func(e quota.Entry) { back = e.Amount })
	return back, err
}

// Reopen gives back what was spent on accounts for a job that was taken for printed and was
// not; it can be charged again. Of the charge job, owner, amount and time count. Doing it again
// changes nothing, and nothing is given back for a job that is not remembered as ended.
func (l *Ledger) Reopen(ctx context.Context, accounts []quota.Account, c quota.Charge) error {
	reopen := func(s *quota.State) (quota.Entry, error) { return s.Reopen(&c) }
	return l.onEach(ctx, accounts, c.Now, reopen, func(quota.Entry) {})
}

// Void gives all back that a job reserved which was not let print; it can be
// reserved again. Only the reservation of the attempt is meant, whichever it is if
// attempt is empty; done is false when none was given back.
func (l *Ledger) Void(
	ctx context.Context, job, attempt string, accounts []quota.Account, now time.Time,
) (done bool, err error) {
	void := func(s *quota.State) (quota.Entry, error) { return s.Void(job, attempt) }
	err = l.onEach(ctx, accounts, now, void, func(quota.Entry) { done = true })
	return done, err
}

// SetLimit gives an account a limit of its own in the periods that the note's time is in;
// nil takes it away.
func (l *Ledger) SetLimit(ctx context.Context, a quota.Account, limit *quota.Amount, n quota.Note) error {
	if limit != nil && *limit < 0 {
		return fmt.Errorf("%w: a limit below zero", quota.ErrCharge)
	}
	_, err := l.change(ctx, a, n.At, func(s *quota.State) (quota.Entry, error) { return s.SetLimit(limit, n) })
	return err
}

// Adjust gives to an account, or takes from it, in the periods that the note's time is in.
func (l *Ledger) Adjust(ctx context.Context, a quota.Account, delta quota.Amount, n quota.Note) error {
	_, err := l.change(ctx, a, n.At, func(s *quota.State) (quota.Entry, error) { return s.Adjust(delta, n) })
	return err
}
