package connector

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
)

// How a reader is treated: so many unknown badges within the window lock it,
// the same badge within sameTap is the same tap, and an answer that moves no
// paper takes as long whether the badge is unknown, revoked or has no job.
const (
	unknownLimit  = 5
	unknownWindow = time.Minute
	lockedFor     = time.Minute
	sameTap       = 5 * time.Second
	quietAnswer   = 300 * time.Millisecond
)

// What became of a tap, as label of pullprint_taps_total.
const (
	tapReleased = "released" // a job at least
	tapKept     = "kept"     // jobs, and none was released
	tapEmpty    = "empty"
	tapUnknown  = "unknown"
	tapInvalid  = "revoked-or-expired"
	tapLocked   = "locked"
	tapRepeated = "repeated"
	tapFailed   = "failed"
	tapShown    = "identified" // at a station, where its owner chooses
)

var tapResults = []string{tapReleased, tapKept, tapEmpty, tapUnknown, tapInvalid, tapLocked, tapRepeated, tapFailed, tapShown}

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
	return fmt.Sprintf("device %s is locked after %d unknown badges, until %s", e.Device, unknownLimit, e.Until.UTC().Format(time.RFC3339))
}

// Badges says whose badge it is. The error is ErrBadgeUnknown, ErrBadgeInvalid,
// or why it can't be told; it never quotes the number. Canonical is the number
// as every reader would have it; it is never stored.
type Badges interface {
	Canonical(number string) (string, error)
	Owner(ctx context.Context, number string, now time.Time) (owner string, err error)
}

// Taps answers badges shown at devices. It is safe for concurrent use.
type Taps struct {
	releaser *Releaser
	badges   Badges
	metrics  *Metrics
	log      *zap.Logger
	secret   [32]byte // of this process: names badges in memory
	shared   StateKV  // what replicas know of a reader together; nil for one alone
	flight   singleflight.Group

	mu      sync.Mutex
	readers map[string]*reader
}

// reader is what is remembered of the reader of a device.
type reader struct {
	strikes
	taps map[string]answered
}

// answered is a tap that was answered a moment ago.
type answered struct {
	at      time.Time
	outcome Outcome
}

// NewTaps answers the taps at the releaser's devices.
func NewTaps(r *Releaser, b Badges) *Taps {
	t := &Taps{releaser: r, badges: b, metrics: r.w.Metrics, log: r.w.Logger.Named("tap"), readers: map[string]*reader{}}
	rand.Read(t.secret[:])
	for id := range r.devices {
		t.readers[id] = &reader{taps: map[string]answered{}}
		for _, result := range tapResults {
			t.metrics.taps.WithLabelValues(id, result)
		}
	}
	return t
}

// Share makes replicas count the unknown badges of a reader together: else each
// would let as many be tried.
func (t *Taps) Share(kv StateKV) { t.shared = kv }

// Tap releases what the owner of a badge may release at a device. A repeat
// within a few seconds has the same answer. A badge that is unknown or not valid
// any more and a person without jobs get the same empty answer. The errors are
// ErrNoDevice, *LockedError, and what the store failed with.
func (t *Taps) Tap(ctx context.Context, device, number string) (Outcome, error) {
	start := time.Now()
	out, result, err := t.tap(ctx, device, number, start)
	if errors.Is(err, ErrNoDevice) {
		return out, err
	}
	t.metrics.taps.WithLabelValues(device, result).Inc()
	t.log.Info("badge shown", zap.String("device", device), zap.String("result", result), zap.Int("released", len(out.Released)),
		zap.Int("kept", len(out.Kept)), zap.Int("aborted", len(out.Aborted)))
	if err == nil && out.Empty() {
		err = t.quiet(ctx, start)
	}
	return out, err
}

func (t *Taps) tap(ctx context.Context, device, number string, now time.Time) (Outcome, string, error) {
	if err := t.admitted(ctx, device, now); err != nil {
		return Outcome{}, resultOf(err), err
	}
	id := t.nameOf(device, number)
	if out, ok := t.repeated(device, id, now); ok {
		return out, tapRepeated, nil
	}
	type done struct {
		Outcome
		result string
	}
	v, err, shared := t.flight.Do(id, func() (any, error) {
		out, result, err := t.release(context.WithoutCancel(ctx), device, number, now)
		if err == nil {
			t.remember(device, id, answered{time.Now(), out})
		}
		return done{out, result}, err
	})
	d, _ := v.(done)
	if shared && err == nil {
		d.result = tapRepeated
	}
	return d.Outcome, d.result, err
}

func (t *Taps) release(ctx context.Context, device, number string, now time.Time) (Outcome, string, error) {
	none := Outcome{Released: []Released{}, Kept: []Refused{}, Aborted: []Refused{}}
	owner, err := t.owner(ctx, device, number, now)
	switch {
	case errors.Is(err, ErrBadgeUnknown):
		return none, tapUnknown, nil
	case errors.Is(err, ErrBadgeInvalid):
		return none, tapInvalid, nil
	case err != nil:
		return none, tapFailed, err
	}
	out, err := t.releaser.Release(ctx, Order{Device: device, Owner: owner, At: now})
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

// Identify says who shows a badge at a device, for a station that lets people
// choose; the owner is empty when the badge is unknown or not valid any more.
// It counts as a tap, locks as a tap, and takes as long as an empty one.
func (t *Taps) Identify(ctx context.Context, device, number string) (owner string, err error) {
	now := time.Now()
	result := tapShown
	if err = t.admitted(ctx, device, now); err != nil {
		result = resultOf(err)
	} else {
		switch owner, err = t.owner(ctx, device, number, now); {
		case errors.Is(err, ErrBadgeUnknown):
			result, err = tapUnknown, nil
		case errors.Is(err, ErrBadgeInvalid):
			result, err = tapInvalid, nil
		case err != nil:
			result = tapFailed
		}
	}
	if errors.Is(err, ErrNoDevice) {
		return "", err
	}
	t.metrics.taps.WithLabelValues(device, result).Inc()
	if err != nil {
		return "", err
	}
	return owner, t.quiet(ctx, now)
}

// owner resolves a badge and counts the unknown ones.
func (t *Taps) owner(ctx context.Context, device, number string, now time.Time) (string, error) {
	owner, err := t.badges.Owner(ctx, number, now)
	if errors.Is(err, ErrBadgeUnknown) {
		t.countUnknown(ctx, device, now)
	}
	return owner, err
}

// resultOf is the label of a tap that was not let in.
func resultOf(err error) string {
	var locked *LockedError
	if errors.As(err, &locked) {
		return tapLocked
	}
	return tapFailed
}

// admitted reports with an error that a device is unknown or locked, or that it
// can't be told whether it is.
func (t *Taps) admitted(ctx context.Context, device string, now time.Time) error {
	t.mu.Lock()
	r, ok := t.readers[device]
	var until time.Time
	if ok {
		until = r.Locked
	}
	t.mu.Unlock()
	if !ok {
		return fmt.Errorf("%w: %s", ErrNoDevice, device)
	}
	if t.shared != nil {
		s, _, err := t.strikesOf(ctx, device)
		if err != nil {
			return err
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

// countUnknown counts an unknown badge, and locks the reader when it is one too
// many. Replicas count together; what can't be stored counts here.
func (t *Taps) countUnknown(ctx context.Context, device string, now time.Time) {
	t.mu.Lock()
	locks := t.readers[device].count(now)
	t.mu.Unlock()
	if t.shared != nil {
		if all, err := t.countTogether(context.WithoutCancel(ctx), device, now); err != nil {
			t.log.Warn("unknown badge counted here alone", zap.String("device", device), zap.Error(err))
		} else {
			locks = all
		}
	}
	if locks {
		t.log.Warn("device locked after unknown badges", zap.String("device", device), zap.Time("until", now.Add(lockedFor)))
	}
}

// nameOf names a tap in memory without the number of its badge.
func (t *Taps) nameOf(device, number string) string {
	if n, err := t.badges.Canonical(number); err == nil {
		number = n
	}
	mac := hmac.New(sha256.New, t.secret[:])
	mac.Write([]byte(device + "\x00" + number))
	return string(mac.Sum(nil))
}

func (t *Taps) repeated(device, id string, now time.Time) (Outcome, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, ok := t.readers[device].taps[id]
	return a.outcome, ok && now.Sub(a.at) < sameTap
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

// quiet waits until as much time has passed since start as every answer takes
// that moves no paper.
func (t *Taps) quiet(ctx context.Context, start time.Time) error {
	wait := time.NewTimer(quietAnswer - time.Since(start))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
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

// Enrol lets somebody enrol a badge at a device by redeem, which is told the
// time. What fails counts as an unknown badge, so that nobody tries codes.
func (t *Taps) Enrol(ctx context.Context, device string, redeem func(now time.Time) error) error {
	now := time.Now()
	if err := t.admitted(ctx, device, now); err != nil {
		return err
	}
	err := redeem(now)
	if err != nil {
		t.countUnknown(ctx, device, now)
		if werr := t.quiet(ctx, now); werr != nil {
			return werr
		}
	}
	return err
}
