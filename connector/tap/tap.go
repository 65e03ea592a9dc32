// Package tap answers badges that are shown at devices: it finds their owner and releases, or
// shows, what that person may release there.
package tap

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pullprint/connector/cache"
	"pullprint/connector/directory"
	"pullprint/connector/release"
	"pullprint/connector/store"
	"pullprint/policy/badge"
	"pullprint/policy/pin"
	"pullprint/trigger/wait"
)

// The limits of a reader.
const (
	// unknownLimit is how many different unknown badges within unknownWindow lock a reader: it
	// leaves room for people with cards that are not enrolled, and is too few to guess numbers.
	unknownLimit = 5
	// unknownWindow is the time that they are counted in. The reader opens when the oldest of
	// them is out of it, so that nobody has to unlock it.
	unknownWindow = time.Minute
	// enrolLimit and enrolWindow take their place where people enrol their own cards: about as many
	// in the long run, but a queue of fifty people with new cards may show theirs one after the
	// other, as fast as a person can read a code from the screen.
	enrolLimit  = 60
	enrolWindow = 10 * time.Minute
	// sameTap is how long the same badge is the same tap: people hold a card to the reader twice
	// when it does not seem to react, and readers send a card that stays there again.
	sameTap = 5 * time.Second
	// quietAnswer is how long an answer that releases nothing takes, whether the badge is
	// unknown, revoked or has no job, so that its time does not tell which. It is longer than
	// the lookups usually take, and not felt as a wait.
	quietAnswer = 300 * time.Millisecond
	// tapWithin bounds a tap: the lookup of its owner, the order, and what an order whose time
	// is over needs to publish its decisions.
	tapWithin = directory.LookupWithin + release.OrderWithin + release.AwaitOther
)

var (
	// ErrBadgeUnknown says that a badge is not enrolled.
	ErrBadgeUnknown = errors.New("the badge is not known")
	// ErrBadgeInvalid says that a badge was revoked or has expired.
	ErrBadgeInvalid = errors.New("the badge is not valid any more")
)

// LockedError says that a reader showed too many unknown badges.
type LockedError struct {
	Device string
	Until  time.Time
}

// Error implements error.
func (e *LockedError) Error() string {
	return fmt.Sprintf("device %s is locked after too many unknown badges, until %s", e.Device,
		e.Until.UTC().Format(time.RFC3339))
}

// guessLimit is how many different guesses within which time lock a reader.
type guessLimit struct {
	count  int
	within time.Duration
}

// Taps answers badges shown at devices. It is safe for concurrent use.
type Taps struct {
	releaser *release.Releaser
	badges   *BadgeOwners
	metrics  *metrics
	log      *zap.Logger
	secret   [32]byte // of this process: names badges in memory
	shared   store.KV // guesses at a reader, counted over all replicas; nil for a single one
	limit    guessLimit
	factors  factors
	names    cache.Limit // by device
	// selfEnrol is set where people enrol their own badges.
	selfEnrol bool
	flight    cache.Flight[tapped]

	mu      sync.Mutex // guards readers, and what is remembered of each
	readers map[string]*reader
}

// reader is what is remembered of the reader of a device.
type reader struct {
	strikes
	taps      map[string]answered
	typed     typed
	fragments []fragment
	// oddSaid is when the log last told of numbers that no card has.
	oddSaid time.Time
}

// tapped is what became of a tap, with its label.
type tapped struct {
	release.Outcome
	result string
}

// answered is a tap that was answered a moment ago, and whose badge it was then; nobody's when
// owner is empty.
type answered struct {
	at      time.Time
	owner   string
	outcome release.Outcome
}

// New answers the taps at the releaser's devices. Its metrics are registered with reg, which
// may be nil.
func New(r *release.Releaser, b *BadgeOwners, reg prometheus.Registerer, log *zap.Logger) *Taps {
	t := &Taps{releaser: r, badges: b, metrics: newMetrics(reg), log: log.Named("tap"), readers: map[string]*reader{}}
	t.limit = guessLimit{unknownLimit, unknownWindow}
	t.names = cache.Limit{Times: maxNames, In: namesIn}
	rand.Read(t.secret[:])
	for _, id := range r.Devices() {
		t.readers[id] = &reader{taps: map[string]answered{}}
		for _, result := range tapResults {
			t.metrics.taps.WithLabelValues(id, result)
		}
	}
	return t
}

// SelfEnrol has unknown badges at stations offered to their owners. It is called before taps are
// answered.
func (t *Taps) SelfEnrol() { t.selfEnrol, t.limit = true, guessLimit{enrolLimit, enrolWindow} }

// Share makes replicas count the unknown badges of a reader together; otherwise each of them
// would allow unknownLimit.
func (t *Taps) Share(kv store.KV) { t.shared = kv }

// Tap releases what the owner of a badge may release at a device. A repeat within a few seconds has
// the same answer, unless the badge is somebody else's by then. A badge that is unknown or not valid
// any more and a person without jobs get the same empty answer; where a PIN is asked for, a badge or a
// name that is nobody's and a wrong PIN the same error. The errors are ErrNoDevice, *LockedError,
// ErrNeedsPIN, ErrNoBadges, ErrNoNames, those of pin.PINs.Check, and what the store failed with.
func (t *Taps) Tap(ctx context.Context, s Shown) (release.Outcome, error) {
	start := time.Now()
	o := release.Order{Device: s.Device, Actor: s.Actor, Asked: s.asked(), At: start}
	out, result, err := t.tap(ctx, o, s)
	if errors.Is(err, release.ErrNoDevice) {
		return out, err
	}
	t.metrics.taps.WithLabelValues(s.Device, result).Inc()
	t.log.Info("badge shown", zap.String("device", s.Device), zap.String("result", result),
		zap.Int("released", len(out.Released)),
		zap.Int("kept", len(out.Kept)), zap.Int("aborted", len(out.Aborted)))
	if err == nil && out.Empty() || errors.Is(err, pin.ErrWrong) {
		err = cmp.Or(t.equalise(ctx, start), err)
	}
	return out, err
}

// tap carries out an order whose owner is not known yet.
func (t *Taps) tap(ctx context.Context, o release.Order, s Shown) (release.Outcome, string, error) {
	device, now := o.Device, o.At
	if err := t.admitted(ctx, device, now); err != nil {
		return release.Outcome{}, resultOf(err), err
	}
	proven, err := t.proven(ctx, s, now)
	if err != nil {
		return release.Outcome{}, resultOf(err), err
	}
	id := t.sum(device, proven.Owner+"\x00"+t.canonical(s.Number))
	d, joined, err := t.flight.Do(ctx, id, tapWithin, func(ctx context.Context) (tapped, error) {
		owner, found := t.ownerOf(ctx, s, proven, now)
		if found == nil || errors.Is(found, ErrBadgeUnknown) || errors.Is(found, ErrBadgeInvalid) {
			if out, ok := t.repeated(device, id, owner, now); ok {
				return tapped{out, tapRepeated}, nil
			}
		}
		o.Owner = owner
		out, result, err := t.release(ctx, o, s.Number, found)
		if err == nil {
			t.remember(device, id, answered{time.Now(), owner, out})
		}
		return tapped{out, result}, err
	})
	switch {
	case err != nil:
		d.result = tapFailed
	case joined:
		d.result = tapRepeated
	}
	return d.Outcome, d.result, err
}

// release carries an order out, of whom a number is; found is why that can't be told, else nil.
func (t *Taps) release(ctx context.Context, o release.Order, number string, found error) (release.Outcome, string, error) {
	device, now := o.Device, o.At
	none := release.Outcome{Released: []release.Released{}, Kept: []release.Refused{}, Aborted: []release.Refused{}}
	switch {
	case errors.Is(found, ErrBadgeUnknown):
		t.countUnknown(ctx, device, number, now)
		return none, tapUnknown, nil
	case errors.Is(found, ErrBadgeInvalid):
		return none, tapInvalid, nil
	case found != nil:
		return none, tapFailed, found
	}
	out, err := t.releaser.Release(ctx, o)
	switch {
	case err != nil:
		return none, tapFailed, err
	case len(out.Released) > 0:
		return out, tapReleased, nil
	case out.Empty():
		return out, tapEmpty, nil
	}
	return out, tapKept, nil
}

// admitted returns an error when a device is unknown or locked, or when the store can't be
// read.
func (t *Taps) admitted(ctx context.Context, device string, now time.Time) error {
	t.mu.Lock()
	r, ok := t.readers[device]
	var until time.Time
	if ok {
		until = r.Locked
	}
	t.mu.Unlock()
	if !ok {
		return fmt.Errorf("%w: %s", release.ErrNoDevice, device)
	}
	if t.shared != nil {
		s, _, err := store.Read[strikes](ctx, t.shared, strikesPrefix+device)
		if err != nil {
			return fmt.Errorf("read the unknown badges of a reader: %w", err)
		}
		if s.Locked.After(until) {
			until = s.Locked
		}
	}
	if now.Before(until) {
		return &LockedError{device, until}
	}
	return nil
}

// sum is a keyed hash that is valid in this process.
func (t *Taps) sum(of, text string) string {
	mac := hmac.New(sha256.New, t.secret[:])
	mac.Write([]byte(of + "\x00" + text))
	return string(mac.Sum(nil))
}

// canonical is the canonical form of a number, or the number if it has none.
func (t *Taps) canonical(number string) string {
	if n, err := t.badges.Canonical(number); err == nil {
		return n
	}
	return number
}

// repeated is the answer to a tap of a moment ago, when the badge was the same person's.
func (t *Taps) repeated(device, id, owner string, now time.Time) (release.Outcome, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, ok := t.readers[device].taps[id]
	return a.outcome, ok && a.owner == owner && now.Sub(a.at) < sameTap
}

func (t *Taps) remember(device, id string, a answered) {
	t.mu.Lock()
	defer t.mu.Unlock()
	taps := t.readers[device].taps
	for k, old := range taps {
		if a.at.Sub(old.at) >= sameTap {
			delete(taps, k)
		}
	}
	taps[id] = a
}

// equalise waits until quietAnswer has passed since start, so that the time of an answer
// that releases nothing says nothing about the badge.
func (t *Taps) equalise(ctx context.Context, start time.Time) error {
	return wait.Sleep(ctx, quietAnswer-time.Since(start))
}

// LockedUntil is until when the reader of a device is locked by what this process
// saw; zero when it is not.
func (t *Taps) LockedUntil(device string, now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r, ok := t.readers[device]; ok && now.Before(r.Locked) {
		return r.Locked
	}
	return time.Time{}
}

// Enrol enrols a badge at a device by calling redeem with the time. A wrong code and somebody
// else's badge count as an unknown badge, so that codes and numbers can't be guessed; guess
// identifies what was tried. An error of the store does not count, nor does a code for something else.
func (t *Taps) Enrol(ctx context.Context, device, guess string, redeem func(now time.Time) error) error {
	now := time.Now()
	if err := t.admitted(ctx, device, now); err != nil {
		return err
	}
	err := redeem(now)
	var other *badge.PurposeError
	if errors.Is(err, badge.ErrCode) && !errors.As(err, &other) || errors.Is(err, badge.ErrTaken) {
		t.countGuess(ctx, device, "enrol\x00"+guess, now)
	}
	if err != nil {
		if werr := t.equalise(ctx, now); werr != nil {
			return werr
		}
	}
	return err
}
