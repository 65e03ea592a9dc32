package quota

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// KV is what a Ledger needs of a durable bucket; *bus.KV is one. CompareAndSet
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

// What happened to an account, as Entry.Kind.
const (
	Reserved = "reserve"
	Settled  = "settle"
	Refunded = "refund"
	Voided   = "void"
	LimitSet = "set"
	Adjusted = "adjust"
)

// Entry is one thing that happened on an account. It names people by their ids
// only.
type Entry struct {
	Account string    `json:"account"`
	Seq     uint64    `json:"seq"`
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Job     string    `json:"job,omitempty"`
	Owner   string    `json:"owner,omitempty"`
	// Amount is what was reserved, spent, given back, set or adjusted.
	Amount Amount `json:"amount"`
	// Default is true of a set that took away the account's own limit.
	Default bool   `json:"default,omitempty"`
	By      string `json:"by,omitempty"`
	Why     string `json:"why,omitempty"`
	// Was is where the entry first was in the history, if a person was erased from it since.
	Was uint64 `json:"was,omitempty"`
}

// Refund is how much of what a job cost is given back.
type Refund struct {
	// Permille is the part, in thousandths.
	Permille int64
	// PerDay is how much an owner is given back within 24 hours; 0 is all.
	PerDay Amount
	Why    string
}

// View is what is open on an account, whatever the policy.
type View struct {
	Account Account `json:"account"`
	// Reservations are open, the oldest first.
	Reservations []Reservation `json:"reservations"`
	// Own is the account's own limit, Since when; nil when it has none.
	Own   *Amount   `json:"own_limit,omitempty"`
	Since time.Time `json:"own_limit_since,omitzero"`
}

// Ledger keeps accounts in a KV, each under one key, and changes them by
// compare-and-set alone. It is safe for concurrent use by any number of
// processes, and starts no goroutine.
//
// The crash story of a change: it is stored together with its entry for the
// history, in an outbox within the account; then the entry is published. Dying
// between, the next change of the account, or the next Open, publishes it.
type Ledger struct {
	kv      KV
	history History

	seed maphash.Seed
	// locks of accounts in this process spare conflicts and prove nothing. Each is held by who
	// has put something in: one who waits while the store hangs gives up with its context.
	locks [64]chan struct{}

	mu        sync.Mutex
	published map[string]told // the newest entry of each account that is surely in the history
	lives     uint64
}

// NewLedger keeps accounts in kv and tells history what happens.
func NewLedger(kv KV, h History) *Ledger {
	l := &Ledger{kv: kv, history: h, seed: maphash.MakeSeed(), published: map[string]told{}}
	for i := range l.locks {
		l.locks[i] = make(chan struct{}, 1)
	}
	return l
}

// maxTries is how often a change is made anew because another process was faster. Each time
// one of the others has got on, so that of 16 that change an account without a pause, one in
// ten million changes fails so often.
const maxTries = 256

// change has fn change an account until nobody else changed it meanwhile; the error is ErrBusy,
// and nothing is changed, when others did at every try. An entry of no kind says that there is
// nothing to store.
func (l *Ledger) change(ctx context.Context, a Account, now time.Time, fn func(*state) (Entry, error)) error {
	key := a.Key()
	lock := l.locks[maphash.String(l.seed, key)%uint64(len(l.locks))]
	select {
	case lock <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("change account: others are at it: %w", ctx.Err())
	}
	defer func() { <-lock }()
	for range maxTries {
		s, rev, err := l.load(ctx, key)
		if err != nil {
			return err
		}
		if err := l.flush(ctx, key, s); err != nil && len(s.Outbox) >= maxOutbox {
			return err
		}
		e, err := fn(s)
		if err != nil || e.Kind == "" {
			return err
		}
		if rev == 0 {
			s.Life = l.life(key)
		}
		s.tidy(now)
		s.Seq++
		e.Account, e.Seq, e.At = key, s.Seq, now
		s.Outbox = append(s.Outbox, e)
		value, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("encode account: %w", err)
		}
		_, swapped, err := l.kv.CompareAndSet(ctx, key, value, rev, s.unusedFor(now))
		if err != nil {
			return fmt.Errorf("store account: %w", err)
		}
		if swapped {
			_ = l.flush(ctx, key, s) // it stays in the outbox when this fails
			return nil
		}
		// Another was faster: whoever lost has nothing to wait for.
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("store account: too many concurrent updates: %w", err)
		}
	}
	return fmt.Errorf("store account: %w", ErrBusy)
}

// byAccount sorts the claims of a charge by account.
func byAccount(claims []Claim) [][]Claim {
	sorted := slices.Clone(claims)
	slices.SortStableFunc(sorted, func(a, b Claim) int { return cmp.Compare(a.Account.Key(), b.Account.Key()) })
	var out [][]Claim
	for _, c := range sorted {
		if n := len(out); n > 0 && out[n-1][0].Account == c.Account {
			out[n-1] = append(out[n-1], c)
		} else {
			out = append(out, []Claim{c})
		}
	}
	return out
}

// ending ends the reservation of a job on its accounts.
func (l *Ledger) ending(
	ctx context.Context, job string, accounts []Account, now time.Time, fn func(*state, *Reservation) (Entry, error),
) error {
	for _, a := range accounts {
		err := l.change(ctx, a, now, func(s *state) (Entry, error) {
			r := s.Reservations[job]
			if r == nil {
				return Entry{}, nil
			}
			e, err := fn(s, r)
			if err != nil || e.Kind == "" {
				return Entry{}, err
			}
			e.Job, e.Owner = job, r.Owner
			return e, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Settle makes what a job reserved spent, in the period it was reserved in, and
// tells how much that was. Doing it again changes nothing.
func (l *Ledger) Settle(ctx context.Context, job string, accounts []Account, now time.Time) (spent Amount, err error) {
	err = l.ending(ctx, job, accounts, now, func(s *state, r *Reservation) (Entry, error) {
		spent = r.Amount
		s.remember(job, now)
		return Entry{Kind: Settled, Amount: r.Amount}, s.end(r, 0)
	})
	return spent, err
}

// Refund gives a part of what a job reserved back and makes the rest spent; it
// tells how much was given back. Doing it again changes nothing.
func (l *Ledger) Refund(
	ctx context.Context, job string, accounts []Account, how Refund, now time.Time,
) (back Amount, err error) {
	err = l.ending(ctx, job, accounts, now, func(s *state, r *Reservation) (Entry, error) {
		if back, err = s.refund(r, how, now); err != nil {
			return Entry{}, err
		}
		if back > 0 {
			s.Refunded = append(s.Refunded, refunded{r.Owner, back, now})
		}
		s.remember(job, now)
		return Entry{Kind: Refunded, Amount: back, Why: how.Why}, s.end(r, back)
	})
	return back, err
}

// Reopen gives back what was spent for a job that was taken for printed and was not; it
// can be charged again. Doing it again changes nothing, and nothing is given back for a
// job that is not remembered as ended.
func (l *Ledger) Reopen(
	ctx context.Context, job, owner string, accounts []Account, amount Amount, now time.Time,
) error {
	for _, a := range accounts {
		err := l.change(ctx, a, now, func(s *state) (Entry, error) {
			if _, ended := s.Ended[job]; !ended {
				return Entry{}, nil
			}
			delete(s.Ended, job)
			return Entry{Kind: Refunded, Job: job, Owner: owner, Amount: amount, Why: "did not print after all"},
				s.unspend(amount, now)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Void gives all back that a job reserved which was not let print; it can be
// reserved again. Only the reservation of the attempt is meant, whichever it is if
// attempt is empty; done is false when none was given back.
func (l *Ledger) Void(
	ctx context.Context, job, attempt string, accounts []Account, now time.Time,
) (done bool, err error) {
	err = l.ending(ctx, job, accounts, now, func(s *state, r *Reservation) (Entry, error) {
		if attempt != "" && r.Attempt != attempt {
			return Entry{}, nil
		}
		done = true
		return Entry{Kind: Voided, Amount: r.Amount}, s.end(r, r.Amount)
	})
	return done, err
}

// Balances are what is on the accounts of claims, in their order. It changes
// nothing: a period that is over is shown rolled over.
func (l *Ledger) Balances(ctx context.Context, claims []Claim, now time.Time) ([]Balance, error) {
	states := map[Account]*state{}
	out := make([]Balance, len(claims))
	for i := range claims {
		c := &claims[i]
		s := states[c.Account]
		var err error
		if s == nil {
			if s, _, err = l.load(ctx, c.Account.Key()); err != nil {
				return nil, err
			}
			states[c.Account] = s
		}
		if out[i], err = s.balance(ctx, c, now); err != nil {
			return nil, fmt.Errorf("account %s: %w", c.Account.Key(), err)
		}
	}
	return out, nil
}

// View is what is open on an account, whatever the policy.
func (l *Ledger) View(ctx context.Context, a Account) (View, error) {
	s, _, err := l.load(ctx, a.Key())
	if err != nil {
		return View{}, err
	}
	v := View{Account: a, Reservations: []Reservation{}}
	for _, r := range s.Reservations {
		v.Reservations = append(v.Reservations, *r)
	}
	slices.SortFunc(v.Reservations, func(x, y Reservation) int {
		return cmp.Or(x.At.Compare(y.At),
			cmp.Compare(x.Job, y.Job))
	})
	if s.Own != nil {
		v.Own, v.Since = &s.Own.Limit, s.Own.At
	}
	return v, nil
}

// SetLimit gives an account a limit of its own in the periods that now is in; nil
// takes it away.
func (l *Ledger) SetLimit(ctx context.Context, a Account, limit *Amount, by, why string, now time.Time) error {
	if limit != nil && *limit < 0 {
		return fmt.Errorf("%w: a limit below zero", ErrCharge)
	}
	return l.change(ctx, a, now, func(s *state) (Entry, error) {
		if err := s.closeOver(ctx, now); err != nil {
			return Entry{}, err
		}
		e := Entry{Kind: LimitSet, Default: limit == nil, By: by, Why: why}
		if s.Own = nil; limit != nil {
			s.Own, e.Amount = &ownLimit{*limit, now}, *limit
		}
		return e, nil
	})
}

// Adjust gives to an account, or takes from it, in the periods that now is in.
func (l *Ledger) Adjust(ctx context.Context, a Account, delta Amount, by, why string, now time.Time) error {
	return l.change(ctx, a, now, func(s *state) (Entry, error) {
		if err := s.closeOver(ctx, now); err != nil {
			return Entry{}, err
		}
		if s.forgetAdjusted(); len(s.Adjusted) >= maxAdjustments {
			return Entry{}, ErrFull
		}
		s.Adjusted = append(s.Adjusted, adjustment{delta, now})
		if _, err := s.adjustedIn(time.Time{}, now.Add(1)); err != nil {
			return Entry{}, err
		}
		return Entry{Kind: Adjusted, Amount: delta, By: by, Why: why}, nil
	})
}
