package tap

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"pullprint/connector/release"
	"pullprint/policy/badge"
	"pullprint/policy/pin"
)

// typedFor is how long what a reader typed at a station is remembered: the browser shows the
// next page well before.
const typedFor = 10 * time.Second

// restFor is how long the end of a number counts as the rest of a second reading of the same
// card: the next page has loaded by then. After that it counts as another card.
const restFor = 3 * time.Second

// minRepeated is how long a number has to be to be recognised at the beginning of what was
// typed, or twice in it. A longer card of somebody else that begins with the same eight
// digits would be taken for a repeat: for random digits the chance is 1 in 10^8.
const minRepeated = 8

// maxTyped is the longest number that is recognised by its end.
const maxTyped = 64

// typed is what the reader of a station typed last. A browser shows the old page until the
// next one has loaded, and a reader does not wait: what it types meanwhile is appended to the
// text in the field, or its beginning is lost. The numbers themselves are not kept.
type typed struct {
	at     time.Time
	length int
	whole  string   // names the number
	ends   []string // names each of its ends that is shorter
}

// Visitor is who showed a badge at a station, where people choose their jobs; Owner is empty when the
// badge is unknown or not valid any more, and where a PIN is asked for besides: then Claims is set. The
// error is ErrNoBadges where badges count for nothing. It counts and locks as a tap does, and takes as
// long as a tap that finds no jobs.
//
// If a number is unknown and begins with the number that was typed just before, the rest of
// it counts: the same card was read twice, or the next card was read while the browser still
// had the old page. The same holds for a number that is another one twice: the browser may
// have dropped its first request before sending it.
func (t *Taps) Visitor(ctx context.Context, device, number string) (who Visitor, err error) {
	now := time.Now()
	result := tapShown
	if err = t.admitted(ctx, device, now); err != nil {
		result = resultOf(err)
	} else if t.card(device) == "" {
		result, err = tapNotTaken, ErrNoBadges
	} else {
		switch who, err = t.identified(ctx, device, number, now); {
		case errors.Is(err, ErrBadgeUnknown):
			result, err = tapUnknown, nil
		case errors.Is(err, ErrBadgeInvalid):
			result, err = tapInvalid, nil
		case err != nil:
			result = tapFailed
		case who.Claims != nil:
			result = tapNeedsPIN
		}
	}
	if errors.Is(err, release.ErrNoDevice) {
		return Visitor{}, err
	}
	t.metrics.taps.WithLabelValues(device, result).Inc()
	if err != nil {
		return Visitor{}, err
	}
	return who, t.equalise(ctx, now)
}

// identified resolves the text in the badge field of a station.
func (t *Taps) identified(ctx context.Context, device, number string, now time.Time) (Visitor, error) {
	owner, err := t.badges.Owner(ctx, number, now)
	if errors.Is(err, ErrBadgeUnknown) {
		if rest := t.afterLastTyped(device, number, now); rest != number {
			number = rest
			owner, err = t.badges.Owner(ctx, number, now)
		}
	}
	who := t.visitor(device, t.ClaimOf(owner, number))
	switch {
	case err == nil:
		t.forgive(ctx, device, number, now)
	case errors.Is(err, ErrBadgeUnknown) && t.maybePIN(device, number):
		nothing := rand.Text()
		t.countGuess(ctx, device, nothing, now)
		who = t.visitor(device, t.ClaimOf("", nothing))
	case errors.Is(err, ErrBadgeUnknown):
		canonical := t.canonical(number)
		t.tellOdd(device, canonical, now)
		if !t.sameCard(device, number, now) {
			t.countGuess(ctx, device, canonical, now)
			t.noteFragment(device, number, canonical, now)
		}
		var failed error
		if who.Code, failed = t.offer(ctx, device, number, now); failed != nil {
			err = failed
		}
	}
	t.noteTyped(device, number, now)
	return who, err
}

// shortestCard is how many digits are rather a card's than a PIN's: cards with fewer are rare, and
// nobody has to take a longer PIN.
const shortestCard = 8

// maybePIN reports whether somebody may have typed a PIN where a badge is shown. It is counted as an
// unknown badge each time, and nothing that is made of it is kept.
func (t *Taps) maybePIN(device, number string) bool {
	return t.asksPIN(device) && pin.Possible(number) && len(number) < shortestCard
}

// offer is the code by which the owner of an unknown badge enrols it; empty where they can't.
func (t *Taps) offer(ctx context.Context, device, number string, now time.Time) (string, error) {
	if !t.selfEnrol {
		return "", nil
	}
	code, err := t.badges.registry.Offer(ctx, number, device, now)
	if errors.Is(err, badge.ErrNotValid) || errors.Is(err, badge.ErrTaken) || errors.Is(err, badge.ErrNumber) {
		return "", nil // somebody's, one that was ended, or no card
	}
	return code, err
}

// afterLastTyped is the part of number after the one that was typed last, or that one if
// there is no more.
func (t *Taps) afterLastTyped(device, number string, now time.Time) string {
	t.mu.Lock()
	last := t.readers[device].typed
	t.mu.Unlock()
	recent := last.length >= minRepeated && now.Sub(last.at) < typedFor
	for recent && len(number) > last.length && t.sum(device, number[:last.length]) == last.whole {
		number = number[last.length:]
	}
	if half := len(number) / 2; half >= minRepeated && number == number[:half]+number[:half] {
		number = number[:half]
	}
	return number
}

func (t *Taps) noteTyped(device, number string, now time.Time) {
	last := typed{at: now, length: len(number), whole: t.sum(device, number)}
	_, last.ends = t.parts(device, number)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readers[device].typed = last
}

// IsTailOfTyped reports whether number is the end of the number that was typed just before at
// a device: a card was read twice, and the second reading began while the browser still had
// the old page. It does not say who is there. If number is itself a valid badge, either card
// may have been shown: ambiguous is then true, and the badge has to be shown again.
func (t *Taps) IsTailOfTyped(ctx context.Context, device, number string) (rest, ambiguous bool, err error) {
	now := time.Now()
	age, ok := t.endOfTyped(device, number, now)
	if !ok {
		return false, false, nil
	}
	switch _, err := t.badges.Owner(ctx, number, now); {
	case errors.Is(err, ErrBadgeUnknown), errors.Is(err, ErrBadgeInvalid):
		return age < restFor, false, nil
	case err != nil:
		return false, false, err
	}
	t.noteTyped(device, number, now)
	return true, true, nil
}

// endOfTyped reports whether a number is the end of what was typed a moment ago, and how
// long ago that was.
func (t *Taps) endOfTyped(device, number string, now time.Time) (age time.Duration, ok bool) {
	name := t.sum(device, number)
	t.mu.Lock()
	defer t.mu.Unlock()
	r, ok := t.readers[device]
	if !ok {
		return 0, false
	}
	age = now.Sub(r.typed.at)
	return age, age < typedFor && slices.Contains(r.typed.ends, name)
}
